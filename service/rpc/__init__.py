"""The gRPC edge, the only place that knows protobuf: convert, call, convert."""
