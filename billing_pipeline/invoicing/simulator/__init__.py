"""A Stripe to rehearse with: an HTTP server on loopback that the real SDK talks to. It moves no money."""
