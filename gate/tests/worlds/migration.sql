SET lock_timeout = '100ms';
SET statement_timeout = '30s';

ALTER TABLE unit_whatsapp_connections ADD COLUMN IF NOT EXISTS status_reason text;
ALTER TABLE unit_whatsapp_connections ADD COLUMN IF NOT EXISTS connected_at timestamptz;
ALTER TABLE unit_whatsapp_connections ADD COLUMN IF NOT EXISTS disconnected_at timestamptz;
ALTER TABLE unit_whatsapp_connections ADD COLUMN IF NOT EXISTS qr_updated_at timestamptz;
ALTER TABLE unit_whatsapp_connections DROP CONSTRAINT IF EXISTS unit_whatsapp_connections_status_check;
ALTER TABLE unit_whatsapp_connections ADD CONSTRAINT unit_whatsapp_connections_status_check
  CHECK (status IN ('connecting', 'qr', 'connected', 'disconnected', 'error')) NOT VALID;
ALTER TABLE unit_whatsapp_connections VALIDATE CONSTRAINT unit_whatsapp_connections_status_check;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_unit_whatsapp_instance_lookup
  ON unit_whatsapp_connections (instance_id) WHERE instance_id IS NOT NULL;

ALTER TABLE messages ADD COLUMN IF NOT EXISTS unit_id uuid REFERENCES units;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS provider text;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS client_message_id text;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS retry_count integer DEFAULT 0;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS last_retry_at timestamptz;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS error_details text;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_client_message_id_unit
  ON messages (conversation_id, client_message_id) WHERE client_message_id IS NOT NULL;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_unit_external_id ON messages (unit_id, external_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_retry_failed
  ON messages (status, retry_count, last_retry_at) WHERE status IN ('failed', 'queued');

CREATE TABLE IF NOT EXISTS campaigns (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  unit_id uuid NOT NULL REFERENCES units,
  name text NOT NULL,
  content text NOT NULL,
  status text NOT NULL DEFAULT 'draft'
    CHECK (status IN ('draft', 'scheduled', 'processing', 'paused', 'completed', 'failed', 'cancelled')),
  scheduled_at timestamptz, started_at timestamptz, completed_at timestamptz,
  error text,
  metadata jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS campaign_recipients (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
  contact_id uuid NOT NULL REFERENCES contacts,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'delivered', 'read', 'failed', 'unknown')),
  sent_at timestamptz, delivered_at timestamptz, read_at timestamptz,
  message_id uuid REFERENCES messages,
  error_message text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (campaign_id, contact_id)
);

DO $verify$
DECLARE
  shortfall text;
BEGIN
  SELECT string_agg(wanted.t || '.' || wanted.c, ', ') INTO shortfall
    FROM (VALUES ('unit_whatsapp_connections', 'status_reason', 'text'), ('unit_whatsapp_connections', 'connected_at', 'timestamptz'),
                 ('unit_whatsapp_connections', 'disconnected_at', 'timestamptz'),
                 ('unit_whatsapp_connections', 'qr_updated_at', 'timestamptz'),
                 ('messages', 'client_message_id', 'text'), ('messages', 'retry_count', 'int4'),
                 ('messages', 'last_retry_at', 'timestamptz'), ('messages', 'error_details', 'text'), ('messages', 'provider', 'text'),
                 ('campaigns', 'content', 'text'), ('campaigns', 'scheduled_at', 'timestamptz'), ('campaigns', 'metadata', 'jsonb'),
                 ('campaign_recipients', 'contact_id', 'uuid'), ('campaign_recipients', 'sent_at', 'timestamptz')) AS wanted (t, c, k)
   WHERE NOT EXISTS (SELECT FROM information_schema.columns
                      WHERE table_schema = 'public' AND table_name = t AND column_name = c AND udt_name = k
                        AND (is_nullable = 'YES' OR t LIKE 'campaign%'));
  IF shortfall IS NOT NULL THEN
    RAISE EXCEPTION 'not as expected: %', shortfall;
  END IF;
  SELECT string_agg(wanted.i, ', ') INTO shortfall
    FROM (VALUES ('idx_unit_whatsapp_instance_lookup', '%UNIQUE% (instance_id) WHERE (instance_id IS NOT NULL)'),
                 ('idx_messages_client_message_id_unit',
                  '%UNIQUE% (conversation_id, client_message_id) WHERE (client_message_id IS NOT NULL)'),
                 ('idx_messages_unit_external_id', '%UNIQUE% (unit_id, external_id)'),
                 ('idx_messages_retry_failed', '% (status, retry_count, last_retry_at) WHERE (status = ANY%failed%queued%)'))
         AS wanted (i, d)
   WHERE NOT EXISTS (SELECT FROM pg_indexes JOIN pg_index ON indexrelid = to_regclass('public.' || quote_ident(indexname))
                      WHERE schemaname = 'public' AND indexname = i AND indexdef LIKE d AND indisvalid
                        AND (i = 'idx_messages_retry_failed') <> indisunique);
  IF shortfall IS NOT NULL THEN
    RAISE EXCEPTION 'not as expected: %', shortfall;
  END IF;
  RAISE NOTICE 'ALL MIGRATIONS APPLIED SUCCESSFULLY!';
END
$verify$;
