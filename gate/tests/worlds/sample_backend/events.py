def parse_event(body: bytes) -> str:
    return body.decode()
