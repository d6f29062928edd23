"""What a person or a secret is called never leaves a service beside its answers: canaries in every field."""
