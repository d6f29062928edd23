"""The log as files: exported from a service, or brought in from elsewhere. No serving process imports this."""
