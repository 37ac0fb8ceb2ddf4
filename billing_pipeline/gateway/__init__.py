"""The HTTP gateway: takes events from producers into the durable queue, and answers once they are durable."""
