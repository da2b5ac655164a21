from __future__ import annotations

QUEUE = "INSERT INTO messages (conversation_id, content, client_message_id) VALUES (%s, %s, %s)"
RETRY = "UPDATE messages SET retry_count = coalesce(retry_count, 0) + 1, last_retry_at = now() WHERE id = %s"
