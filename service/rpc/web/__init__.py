"""The browser door: the same methods over Connect and gRPC-Web, beside the gRPC port. docs/browser.md."""
