"""What was acknowledged is there after the worst: killed services, killed stores, fail-overs, and refusing stores."""
