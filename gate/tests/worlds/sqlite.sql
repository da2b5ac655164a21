CREATE TABLE units (id CHAR(32) NOT NULL PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE contacts (id CHAR(32) NOT NULL PRIMARY KEY, unit_id CHAR(32) NOT NULL REFERENCES units (id), phone TEXT);
CREATE TABLE unit_whatsapp_connections (
  id CHAR(32) NOT NULL PRIMARY KEY,
  unit_id CHAR(32) NOT NULL,
  instance_id TEXT,
  status TEXT DEFAULT 'disconnected' NOT NULL, -- not (only) a comment with a bracket
  status_reason TEXT,
  connected_at DATETIME,
  disconnected_at DATETIME,
  qr_updated_at DATETIME,
  CONSTRAINT unit_whatsapp_connections_status_check CHECK (status IN ('connecting', 'qr', 'connected', 'disconnected', 'error')),
  FOREIGN KEY (unit_id) REFERENCES units (id)
);
CREATE UNIQUE INDEX idx_unit_whatsapp_instance_lookup ON unit_whatsapp_connections (instance_id) WHERE instance_id IS NOT NULL;
CREATE TABLE conversations (id CHAR(32) NOT NULL PRIMARY KEY, contact_id CHAR(32) NOT NULL REFERENCES contacts (id));
CREATE TABLE messages (
  id CHAR(32) NOT NULL PRIMARY KEY,
  unit_id CHAR(32) REFERENCES units (id),
  conversation_id CHAR(32) NOT NULL REFERENCES conversations (id),
  content TEXT NOT NULL,
  status TEXT DEFAULT 'queued' NOT NULL,
  provider TEXT,
  external_id TEXT,
  client_message_id TEXT,
  retry_count INTEGER DEFAULT 0,
  last_retry_at DATETIME,
  error_details TEXT
);
CREATE UNIQUE INDEX idx_messages_client_message_id_unit ON messages (conversation_id, client_message_id)
  WHERE client_message_id IS NOT NULL;
CREATE UNIQUE INDEX idx_messages_unit_external_id ON messages (unit_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX idx_messages_retry_failed ON messages (status, retry_count, last_retry_at) WHERE status IN ('failed', 'queued');
CREATE TABLE campaigns (
  id CHAR(32) NOT NULL PRIMARY KEY,
  unit_id CHAR(32) NOT NULL REFERENCES units (id),
  name TEXT NOT NULL,
  content TEXT NOT NULL,
  status TEXT DEFAULT 'draft' NOT NULL,
  scheduled_at DATETIME, started_at DATETIME, completed_at DATETIME,
  error TEXT,
  metadata JSON DEFAULT '{}' NOT NULL,
  created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL
);
CREATE TABLE campaign_recipients (
  id CHAR(32) NOT NULL PRIMARY KEY,
  campaign_id CHAR(32) NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
  contact_id CHAR(32) NOT NULL REFERENCES contacts (id),
  status TEXT DEFAULT 'pending' NOT NULL,
  sent_at DATETIME, delivered_at DATETIME, read_at DATETIME,
  message_id CHAR(32) REFERENCES messages (id),
  error_message TEXT,
  created_at DATETIME NOT NULL,
  UNIQUE (campaign_id, contact_id)
);
