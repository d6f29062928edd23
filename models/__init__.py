"""What training and serving share: context, features, folded models and their artefacts."""
