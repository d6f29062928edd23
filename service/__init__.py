"""The online service: answers what to say to one customer, here and now."""
