-- The schema of a backend before the integration.
CREATE TABLE units (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), unit_id uuid NOT NULL REFERENCES units, phone text);
CREATE TABLE unit_whatsapp_connections (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  unit_id uuid NOT NULL REFERENCES units,
  instance_id text,
  status text NOT NULL DEFAULT 'disconnected'
    CONSTRAINT unit_whatsapp_connections_status_check CHECK (status IN ('connecting', 'connected', 'disconnected', 'error'))
);
CREATE TABLE conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), contact_id uuid NOT NULL REFERENCES contacts);
CREATE TABLE messages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  conversation_id uuid NOT NULL REFERENCES conversations,
  content text NOT NULL,
  status text NOT NULL DEFAULT 'queued',
  external_id text
);
