-- PRODUCTION_MIGRATION_GOLIVE.sql: from the schema before the WhatsApp integration to the one after it.
--
-- Run it with one of
--     psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f PRODUCTION_MIGRATION_GOLIVE.sql
--     python -m reference_impl.migrations.migrate "$DATABASE_URL"
-- as the owner of the tables. Every statement is its own transaction (indexes are built CONCURRENTLY), so not inside
-- BEGIN … COMMIT; a web editor that wraps the text in one transaction refuses it: use psql. It can be stopped and run again at
-- any point, any number of times.
--
-- Nothing here breaks the release that is running: new columns are nullable or have a default, no column or value is taken
-- away, and what would make customers wait behind it gives its lock up after 100 ms. When one times out, run the file again.
--
-- It ends by verifying the result by definition. Success is the notice ALL MIGRATIONS APPLIED SUCCESSFULLY! and nothing else.

-- Whoever reads or writes queues behind a statement that waits for a blocking lock: so it waits for a moment only.
SET lock_timeout = '100ms';

-- Building an index may take its time: it holds nobody up.
SET statement_timeout = 0;

SET search_path TO public, pg_temp;

SET client_min_messages TO notice;

-- 0. The start ---------------------------------------------------------------------------------------------------------------

DO $preflight$
DECLARE
    missing text;
BEGIN
    IF current_setting('server_version_num')::integer < 140000 THEN
        RAISE EXCEPTION 'PostgreSQL 14 or later is needed, this is %', current_setting('server_version');
    END IF;
    SELECT string_agg('public.' || name, ', ' ORDER BY name) INTO missing
    FROM unnest(ARRAY['units', 'users', 'contacts', 'unit_whatsapp_connections', 'conversations', 'messages']) AS name
    WHERE NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_class
        WHERE relname = name AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'this is not the schema to migrate: no table %', missing
            USING HINT = 'Check the database and the user of the URL; on an empty database apply BASELINE.sql first.';
    END IF;
END
$preflight$;

-- An index build that was interrupted leaves an invalid index under the final name, which IF NOT EXISTS would take for done.
DO $interrupted$
DECLARE
    leftover text;
BEGIN
    FOR leftover IN
        SELECT index.indexrelid::regclass::text
        FROM pg_catalog.pg_index AS index
        JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indexrelid
        WHERE NOT index.indisvalid
            AND relation.relnamespace = 'public'::regnamespace
            AND relation.relname IN (
                'idx_contacts_unit_lid', 'idx_contacts_unit_created', 'idx_unit_whatsapp_instance_lookup',
                'idx_conversations_open_contact', 'idx_messages_unit_external_id', 'idx_messages_client_message_id_unit',
                'idx_messages_unit_client_message_id', 'idx_messages_retry_failed', 'idx_messages_due'
            )
    LOOP
        EXECUTE format('DROP INDEX %s', leftover);
        RAISE NOTICE 'dropped the invalid index % of an interrupted run; it is built again below', leftover;
    END LOOP;
END
$interrupted$;

-- 1. Connection status tracking ----------------------------------------------------------------------------------------------

ALTER TABLE public.unit_whatsapp_connections
    ADD COLUMN IF NOT EXISTS status_reason text,
    ADD COLUMN IF NOT EXISTS connected_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS disconnected_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS qr_updated_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS connection_epoch bigint DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS last_event_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS last_poll_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS connect_lease_until timestamp with time zone,
    ADD COLUMN IF NOT EXISTS previous_webhook_secret text,
    ADD COLUMN IF NOT EXISTS previous_webhook_secret_expires_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS degraded boolean DEFAULT false NOT NULL,
    ADD COLUMN IF NOT EXISTS last_error text,
    ADD COLUMN IF NOT EXISTS next_send_at timestamp with time zone;

-- The old CHECK is found by what it does, because its name depends on who made it.
DO $connection_status$
DECLARE
    drops text;
    right_one boolean;
BEGIN
    SELECT
        string_agg(format('DROP CONSTRAINT %I, ', con.conname), ''),
        bool_or(con.conname = 'unit_whatsapp_connections_status_check')
            AND bool_and(
                pg_catalog.pg_get_constraintdef(con.oid) LIKE '%''qr''%'
            )
    INTO drops, right_one
    FROM pg_catalog.pg_constraint AS con
    JOIN pg_catalog.pg_attribute AS status ON status.attrelid = con.conrelid AND status.attname = 'status'
    WHERE con.conrelid = 'public.unit_whatsapp_connections'::regclass AND con.contype = 'c' AND con.conkey = ARRAY[status.attnum];
    IF right_one IS NOT TRUE THEN
        EXECUTE 'ALTER TABLE public.unit_whatsapp_connections ' || coalesce(drops, '')
            || 'ADD CONSTRAINT unit_whatsapp_connections_status_check '
            || 'CHECK (status IN (''connecting'', ''qr'', ''connected'', ''disconnected'', ''error'')) NOT VALID';
    END IF;
END
$connection_status$;

-- Nobody queues behind these.
SET lock_timeout = '10s';

ALTER TABLE public.unit_whatsapp_connections VALIDATE CONSTRAINT unit_whatsapp_connections_status_check;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_unit_whatsapp_instance_lookup
    ON public.unit_whatsapp_connections (instance_id) WHERE instance_id IS NOT NULL;

SET lock_timeout = '100ms';

-- 2. Accounts, contacts, conversations ---------------------------------------------------------------------------------------

ALTER TABLE public.users ADD COLUMN IF NOT EXISTS password_changed_at timestamp with time zone;

-- A sender may be known by his @lid alone; until now a contact without a phone could not exist.
ALTER TABLE public.contacts
    ADD COLUMN IF NOT EXISTS lid text,
    ALTER COLUMN phone DROP NOT NULL;

DO $contact_address$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_constraint
        WHERE conrelid = 'public.contacts'::regclass AND conname = 'contacts_address_check'
    ) THEN
        ALTER TABLE public.contacts
            ADD CONSTRAINT contacts_address_check CHECK (phone IS NOT NULL OR lid IS NOT NULL) NOT VALID;
    END IF;
END
$contact_address$;

-- Nobody queues behind these.
SET lock_timeout = '10s';

ALTER TABLE public.contacts VALIDATE CONSTRAINT contacts_address_check;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_unit_lid
    ON public.contacts (unit_id, lid) WHERE lid IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_contacts_unit_created
    ON public.contacts (unit_id, created_at, id);

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_open_contact
    ON public.conversations (contact_id) WHERE status = 'open';

SET lock_timeout = '100ms';

-- 3. Outbound retry and idempotency, messages of a tenant --------------------------------------------------------------------

ALTER TABLE public.messages
    ADD COLUMN IF NOT EXISTS client_message_id text,
    ADD COLUMN IF NOT EXISTS retry_count integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_retry_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS error_details text,
    ADD COLUMN IF NOT EXISTS unit_id uuid,
    ADD COLUMN IF NOT EXISTS provider text,
    ADD COLUMN IF NOT EXISTS direction text,
    ADD COLUMN IF NOT EXISTS remote_jid text,
    ADD COLUMN IF NOT EXISTS recipient_phone text,
    ADD COLUMN IF NOT EXISTS caption text,
    ADD COLUMN IF NOT EXISTS media_mimetype text,
    ADD COLUMN IF NOT EXISTS params_hash text,
    ADD COLUMN IF NOT EXISTS delivery_policy text,
    ADD COLUMN IF NOT EXISTS attempts integer DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS next_attempt_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS lease_until timestamp with time zone,
    ADD COLUMN IF NOT EXISTS lease_token uuid,
    ADD COLUMN IF NOT EXISTS provider_timestamp timestamp with time zone,
    ADD COLUMN IF NOT EXISTS sent_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS delivered_at timestamp with time zone,
    ADD COLUMN IF NOT EXISTS read_at timestamp with time zone;

-- The release that is running, and the one that a rollback puts back, write no unit: without it their rows would belong to
-- nobody and disappear behind row-level security. In place before the backfill, so that no row slips between the two.
CREATE OR REPLACE FUNCTION public.messages_fill_tenant() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO public, pg_temp
AS $function$
BEGIN
    IF NEW.unit_id IS NULL THEN
        SELECT unit_id INTO NEW.unit_id FROM public.conversations WHERE id = NEW.conversation_id;
    END IF;
    IF NEW.direction IS NULL THEN
        NEW.direction := CASE WHEN NEW.sender = 'customer' THEN 'inbound' ELSE 'outbound' END;
    END IF;
    RETURN NEW;
END
$function$;

DO $fill_tenant$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_trigger
        WHERE tgrelid = 'public.messages'::regclass AND tgname = 'messages_fill_tenant'
    ) THEN
        CREATE TRIGGER messages_fill_tenant BEFORE INSERT ON public.messages
            FOR EACH ROW EXECUTE FUNCTION public.messages_fill_tenant();
    END IF;
END
$fill_tenant$;

-- In pages with a commit each: one long transaction would hold its row locks against the running release.
DO $backfill$
DECLARE
    page uuid[];
    filled bigint := 0;
    filled_now bigint;
BEGIN
    IF EXISTS (SELECT 1 FROM public.messages WHERE unit_id IS NULL OR direction IS NULL) THEN
        SELECT array_agg(id ORDER BY id) INTO page
        FROM (SELECT id FROM public.messages ORDER BY id LIMIT 5000) AS first_page;
        WHILE page IS NOT NULL LOOP
            UPDATE public.messages AS message
            SET unit_id = coalesce(message.unit_id, conversation.unit_id),
                direction = coalesce(message.direction, CASE WHEN message.sender = 'customer' THEN 'inbound' ELSE 'outbound' END)
            FROM public.conversations AS conversation
            WHERE message.id = ANY (page)
                AND conversation.id = message.conversation_id
                AND (message.unit_id IS NULL OR message.direction IS NULL);
            GET DIAGNOSTICS filled_now = ROW_COUNT;
            filled := filled + filled_now;
            COMMIT;
            SELECT array_agg(id ORDER BY id) INTO page
            FROM (SELECT id FROM public.messages WHERE id > page[cardinality(page)] ORDER BY id LIMIT 5000) AS next_page;
        END LOOP;
        RAISE NOTICE 'messages given their unit: %', filled;
    END IF;
END
$backfill$;

DO $message_status$
DECLARE
    drops text;
    right_one boolean;
BEGIN
    SELECT
        string_agg(format('DROP CONSTRAINT %I, ', con.conname), ''),
        bool_or(con.conname = 'messages_status_check')
            AND bool_and(
                pg_catalog.pg_get_constraintdef(con.oid) LIKE '%''sending''%'
                AND pg_catalog.pg_get_constraintdef(con.oid) LIKE '%''unknown''%'
            )
    INTO drops, right_one
    FROM pg_catalog.pg_constraint AS con
    JOIN pg_catalog.pg_attribute AS status ON status.attrelid = con.conrelid AND status.attname = 'status'
    WHERE con.conrelid = 'public.messages'::regclass AND con.contype = 'c' AND con.conkey = ARRAY[status.attnum];
    IF right_one IS NOT TRUE THEN
        EXECUTE 'ALTER TABLE public.messages ' || coalesce(drops, '')
            || 'ADD CONSTRAINT messages_status_check CHECK (status IN (''received'', ''queued'', ''sending'', ''sent'', '
            || '''delivered'', ''read'', ''failed'', ''unknown'')) NOT VALID';
    END IF;
END
$message_status$;

DO $message_constraints$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('messages_direction_check', $c$CHECK (direction IN ('inbound', 'outbound'))$c$),
            ('messages_delivery_policy_check', $c$CHECK (delivery_policy IN ('at_most_once', 'at_least_once'))$c$),
            ('messages_attempts_check', $c$CHECK (attempts BETWEEN 0 AND 3)$c$),
            ('messages_unit_id_fkey', $c$FOREIGN KEY (unit_id) REFERENCES public.units (id)$c$)
        ) AS list (name, definition)
        WHERE NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = 'public.messages'::regclass AND conname = list.name
        )
    LOOP
        EXECUTE format('ALTER TABLE public.messages ADD CONSTRAINT %I %s NOT VALID', wanted.name, wanted.definition);
    END LOOP;
END
$message_constraints$;

-- Nobody queues behind these.
SET lock_timeout = '10s';

ALTER TABLE public.messages VALIDATE CONSTRAINT messages_status_check;

ALTER TABLE public.messages VALIDATE CONSTRAINT messages_direction_check;

ALTER TABLE public.messages VALIDATE CONSTRAINT messages_delivery_policy_check;

ALTER TABLE public.messages VALIDATE CONSTRAINT messages_attempts_check;

ALTER TABLE public.messages VALIDATE CONSTRAINT messages_unit_id_fkey;

-- The previous release stored a redelivered event again. Every copy keeps its row and text; all but the first give up the
-- provider's id, which from now on names one message of a unit. The old id can be read from the new value.
DO $repeated_messages$
DECLARE
    renamed bigint;
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_class
        WHERE relname = 'idx_messages_unit_external_id' AND relnamespace = 'public'::regnamespace
    ) THEN
        UPDATE public.messages AS message
        SET external_id = message.external_id || '#repeated-' || message.id
        FROM (
            SELECT id, row_number() OVER (PARTITION BY unit_id, external_id ORDER BY created_at, id) AS copy
            FROM public.messages
            WHERE external_id IS NOT NULL
        ) AS copies
        WHERE copies.id = message.id AND copies.copy > 1;
        GET DIAGNOSTICS renamed = ROW_COUNT;
        IF renamed > 0 THEN
            RAISE NOTICE 'messages stored more than once, kept under another external_id: %', renamed;
        END IF;
    END IF;
END
$repeated_messages$;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_unit_external_id
    ON public.messages (unit_id, external_id) WHERE external_id IS NOT NULL;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_client_message_id_unit
    ON public.messages (conversation_id, client_message_id) WHERE client_message_id IS NOT NULL;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_unit_client_message_id
    ON public.messages (unit_id, client_message_id) WHERE client_message_id IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_retry_failed
    ON public.messages (status, retry_count, last_retry_at) WHERE status IN ('failed', 'queued');

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_messages_due
    ON public.messages (next_attempt_at) WHERE status IN ('queued', 'sending', 'unknown');

SET lock_timeout = '100ms';

-- 4. Campaigns ---------------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS public.campaigns (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid NOT NULL,
    name text NOT NULL,
    content text NOT NULL,
    status text DEFAULT 'draft' NOT NULL,
    scheduled_at timestamp with time zone,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    error text,
    metadata jsonb DEFAULT '{}' NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    delivery_policy text DEFAULT 'at_most_once' NOT NULL,
    pause_reason text,
    resume_at timestamp with time zone,
    lease_until timestamp with time zone,
    lease_token uuid,
    CONSTRAINT campaigns_pkey PRIMARY KEY (id),
    CONSTRAINT campaigns_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT campaigns_status_check
        CHECK (status IN ('draft', 'scheduled', 'processing', 'paused', 'completed', 'failed', 'cancelled')),
    CONSTRAINT campaigns_delivery_policy_check CHECK (delivery_policy IN ('at_most_once', 'at_least_once'))
);

CREATE INDEX IF NOT EXISTS idx_campaigns_unit_created ON public.campaigns (unit_id, created_at, id);

CREATE INDEX IF NOT EXISTS idx_campaigns_active
    ON public.campaigns (status, scheduled_at) WHERE status IN ('scheduled', 'processing');

CREATE TABLE IF NOT EXISTS public.campaign_recipients (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    "position" integer DEFAULT 0 NOT NULL,
    phone text,
    status text DEFAULT 'pending' NOT NULL,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    message_id uuid,
    error_message text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT campaign_recipients_pkey PRIMARY KEY (id),
    CONSTRAINT campaign_recipients_campaign_id_contact_id_key UNIQUE (campaign_id, contact_id),
    CONSTRAINT campaign_recipients_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT campaign_recipients_campaign_id_fkey
        FOREIGN KEY (campaign_id) REFERENCES public.campaigns (id) ON DELETE CASCADE,
    CONSTRAINT campaign_recipients_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contacts (id),
    CONSTRAINT campaign_recipients_message_id_fkey
        FOREIGN KEY (message_id) REFERENCES public.messages (id) ON DELETE SET NULL,
    CONSTRAINT campaign_recipients_status_check
        CHECK (status IN ('pending', 'sent', 'delivered', 'read', 'failed', 'unknown'))
);

CREATE INDEX IF NOT EXISTS idx_campaign_recipients_next
    ON public.campaign_recipients (campaign_id, status, "position");

CREATE INDEX IF NOT EXISTS idx_campaign_recipients_contact ON public.campaign_recipients (contact_id);

CREATE UNIQUE INDEX IF NOT EXISTS idx_campaign_recipients_message
    ON public.campaign_recipients (message_id) WHERE message_id IS NOT NULL;

-- 5. Webhooks and tokens -----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS public.webhook_quarantine (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid,
    provider text NOT NULL,
    instance_id text,
    event text,
    reason text NOT NULL,
    body bytea NOT NULL,
    body_size bigint NOT NULL,
    status text DEFAULT 'quarantined' NOT NULL,
    replays integer DEFAULT 0 NOT NULL,
    last_error text,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    replayed_at timestamp with time zone,
    CONSTRAINT webhook_quarantine_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_quarantine_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT webhook_quarantine_status_check CHECK (status IN ('quarantined', 'replayed', 'discarded'))
);

CREATE INDEX IF NOT EXISTS idx_webhook_quarantine_open
    ON public.webhook_quarantine (received_at) WHERE status = 'quarantined';

CREATE INDEX IF NOT EXISTS idx_webhook_quarantine_unit ON public.webhook_quarantine (unit_id, received_at);

CREATE TABLE IF NOT EXISTS public.pending_message_updates (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid NOT NULL,
    external_id text NOT NULL,
    status text NOT NULL,
    error_details text,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT pending_message_updates_pkey PRIMARY KEY (id),
    CONSTRAINT pending_message_updates_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT pending_message_updates_unit_id_external_id_status_key UNIQUE (unit_id, external_id, status),
    CONSTRAINT pending_message_updates_status_check CHECK (status IN ('sent', 'delivered', 'read', 'failed'))
);

CREATE INDEX IF NOT EXISTS idx_pending_message_updates_received ON public.pending_message_updates (received_at);

CREATE TABLE IF NOT EXISTS public.refresh_tokens (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid,
    user_id uuid NOT NULL,
    family_id uuid NOT NULL,
    token_hash text NOT NULL,
    issued_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT refresh_tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT refresh_tokens_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT refresh_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users (id) ON DELETE CASCADE
);

CREATE INDEX IF NOT EXISTS idx_refresh_tokens_user ON public.refresh_tokens (user_id);

CREATE INDEX IF NOT EXISTS idx_refresh_tokens_family ON public.refresh_tokens (family_id);

CREATE INDEX IF NOT EXISTS idx_refresh_tokens_expires ON public.refresh_tokens (expires_at);

-- 6. Tenants apart from each other -------------------------------------------------------------------------------------------

-- The backend runs as this role (its login is a member of it, or it says SET ROLE); the owner is for migrations only.
DO $runtime_role$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'golive_runtime') THEN
        BEGIN
            CREATE ROLE golive_runtime NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'the role golive_runtime is missing and % may not create it: % % %', current_user,
                    'until an administrator runs CREATE ROLE golive_runtime and this file runs again,',
                    'the backend works as the owner,', 'for whom row-level security does not separate tenants';
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- made at the same moment by the migration of another database of this server
        END;
    END IF;
END
$runtime_role$;

DO $runtime_access$
DECLARE
    name text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'golive_runtime') THEN
        RETURN;
    END IF;
    IF NOT pg_catalog.has_schema_privilege('golive_runtime', 'public', 'USAGE') THEN
        GRANT USAGE ON SCHEMA public TO golive_runtime;
    END IF;
    FOREACH name IN ARRAY ARRAY[
        'units', 'users', 'contacts', 'unit_whatsapp_connections', 'conversations', 'messages', 'campaigns',
        'campaign_recipients', 'webhook_quarantine', 'pending_message_updates', 'refresh_tokens'
    ] LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO golive_runtime', name);
    END LOOP;
    -- Since 16 whoever creates a role may give it away without being able to become it.
    IF NOT pg_catalog.pg_has_role(
        current_user, 'golive_runtime',
        CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END
    ) THEN
        BEGIN
            EXECUTE format('GRANT golive_runtime TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE '% may not become golive_runtime: give the backend a login of its own that is a member of it',
                current_user;
        END;
    END IF;
END
$runtime_access$;

-- The policy tenant_isolation holds for everybody. previous_release keeps the owner and the logins that have rights on the
-- tables today seeing every row, so that the release that is running, and a rollback to it, go on working; the runtime role is
-- never among them. A commit for each table, so that no two of these locks are ever held together.
DO $row_level_security$
DECLARE
    name text;
    key text;
    tenant text;
    table_id regclass;
    keepers text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'units', 'users', 'contacts', 'unit_whatsapp_connections', 'conversations', 'messages', 'campaigns',
        'campaign_recipients', 'webhook_quarantine', 'pending_message_updates', 'refresh_tokens'
    ] LOOP
        table_id := format('public.%I', name)::regclass;
        key := CASE name WHEN 'units' THEN 'id' ELSE 'unit_id' END;
        tenant := format(
            '%I = (SELECT nullif(current_setting(''app.unit_id'', true), '''')::uuid) '
            'OR (SELECT current_setting(''app.scope'', true)) = ''system''', key
        );
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_policy WHERE polrelid = table_id AND polname = 'tenant_isolation') THEN
            EXECUTE format(
                'CREATE POLICY tenant_isolation ON public.%I FOR ALL TO PUBLIC USING (%s) WITH CHECK (%s)', name, tenant, tenant
            );
        END IF;
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_policy WHERE polrelid = table_id AND polname = 'previous_release') THEN
            SELECT string_agg(DISTINCT quote_ident(role.rolname), ', ') INTO keepers
            FROM pg_catalog.pg_class AS relation
            CROSS JOIN LATERAL (
                SELECT relation.relowner AS id
                UNION
                SELECT entry.grantee FROM pg_catalog.aclexplode(relation.relacl) AS entry WHERE entry.grantee <> 0
            ) AS holder
            JOIN pg_catalog.pg_roles AS role ON role.oid = holder.id
            WHERE relation.oid = table_id
                AND role.rolname <> 'golive_runtime'
                AND (role.oid = relation.relowner OR role.rolcanlogin)
                AND NOT EXISTS (
                    SELECT 1 FROM pg_catalog.pg_auth_members AS membership
                    JOIN pg_catalog.pg_roles AS runtime ON runtime.oid = membership.roleid
                    WHERE membership.member = role.oid AND runtime.rolname = 'golive_runtime' AND role.oid <> relation.relowner
                );
            EXECUTE format(
                'CREATE POLICY previous_release ON public.%I FOR ALL TO %s USING (true) WITH CHECK (true)', name, keepers
            );
        END IF;
        IF EXISTS (
            SELECT 1 FROM pg_catalog.pg_class WHERE oid = table_id AND NOT (relrowsecurity AND relforcerowsecurity)
        ) THEN
            EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        END IF;
        COMMIT;
    END LOOP;
END
$row_level_security$;

-- 7. Verification by definition ----------------------------------------------------------------------------------------------

-- The expectations below are catalog definitions, so a name alone proves nothing. Everything is collected before it is raised.
DO $verification$
DECLARE
    faults text[] := '{}';
    fault text;
    probe record;
    rule record;
    admitted boolean;
    answer boolean;
    runtime oid := (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'golive_runtime');
    tables CONSTANT text[] := ARRAY[
        'units', 'users', 'contacts', 'unit_whatsapp_connections', 'conversations', 'messages', 'campaigns',
        'campaign_recipients', 'webhook_quarantine', 'pending_message_updates', 'refresh_tokens'
    ];
BEGIN
    -- Tables: ordinary and logged, in this schema.
    FOR fault IN
        SELECT CASE
            WHEN relation.oid IS NULL THEN format('table public.%s is missing', name)
            WHEN relation.relkind NOT IN ('r', 'p') THEN format('public.%s is not a table', name)
            ELSE format('table public.%s is not durable (temporary or unlogged)', name)
        END
        FROM unnest(tables) AS name
        LEFT JOIN pg_catalog.pg_class AS relation
            ON relation.relname = name AND relation.relnamespace = 'public'::regnamespace
        WHERE relation.oid IS NULL OR relation.relkind NOT IN ('r', 'p') OR relation.relpersistence <> 'p'
    LOOP
        faults := faults || fault;
    END LOOP;
    IF cardinality(faults) > 0 THEN
        RAISE EXCEPTION 'MIGRATION INCOMPLETE: %', array_to_string(faults, '; ');
    END IF;

    -- Columns: type, nullability, default; and none besides them that would refuse the backend's inserts.
    FOR fault IN
        WITH expected (table_name, column_name, type_name, nullable, default_value) AS (VALUES
            ('units', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('units', 'name', 'text', false, NULL),
            ('units', 'slug', 'text', false, NULL),
            ('units', 'is_active', 'boolean', false, 'true'),
            ('units', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('units', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('users', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('users', 'unit_id', 'uuid', true, NULL),
            ('users', 'name', 'text', false, NULL),
            ('users', 'email', 'text', false, NULL),
            ('users', 'password_hash', 'text', false, NULL),
            ('users', 'role', 'text', false, NULL),
            ('users', 'is_active', 'boolean', false, 'true'),
            ('users', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('users', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('users', 'password_changed_at', 'timestamp with time zone', true, NULL),
            ('contacts', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('contacts', 'unit_id', 'uuid', false, NULL),
            ('contacts', 'phone', 'text', true, NULL),
            ('contacts', 'name', 'text', true, NULL),
            ('contacts', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('contacts', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('contacts', 'lid', 'text', true, NULL),
            ('unit_whatsapp_connections', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('unit_whatsapp_connections', 'unit_id', 'uuid', false, NULL),
            ('unit_whatsapp_connections', 'provider', 'text', false, '''evolution''::text'),
            ('unit_whatsapp_connections', 'instance_id', 'text', true, NULL),
            ('unit_whatsapp_connections', 'phone', 'text', true, NULL),
            ('unit_whatsapp_connections', 'status', 'text', false, '''disconnected''::text'),
            ('unit_whatsapp_connections', 'qr_code', 'text', true, NULL),
            ('unit_whatsapp_connections', 'webhook_secret', 'text', true, NULL),
            ('unit_whatsapp_connections', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('unit_whatsapp_connections', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('unit_whatsapp_connections', 'status_reason', 'text', true, NULL),
            ('unit_whatsapp_connections', 'connected_at', 'timestamp with time zone', true, NULL),
            ('unit_whatsapp_connections', 'disconnected_at', 'timestamp with time zone', true, NULL),
            ('unit_whatsapp_connections', 'qr_updated_at', 'timestamp with time zone', true, NULL),
            ('unit_whatsapp_connections', 'connection_epoch', 'bigint', false, '0'),
            ('unit_whatsapp_connections', 'last_event_at', 'timestamp with time zone', true, NULL),
            ('unit_whatsapp_connections', 'last_poll_at', 'timestamp with time zone', true, NULL),
            ('unit_whatsapp_connections', 'connect_lease_until', 'timestamp with time zone', true, NULL),
            ('unit_whatsapp_connections', 'previous_webhook_secret', 'text', true, NULL),
            ('unit_whatsapp_connections', 'previous_webhook_secret_expires_at', 'timestamp with time zone', true, NULL),
            ('unit_whatsapp_connections', 'degraded', 'boolean', false, 'false'),
            ('unit_whatsapp_connections', 'last_error', 'text', true, NULL),
            ('unit_whatsapp_connections', 'next_send_at', 'timestamp with time zone', true, NULL),
            ('conversations', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('conversations', 'unit_id', 'uuid', false, NULL),
            ('conversations', 'contact_id', 'uuid', false, NULL),
            ('conversations', 'status', 'text', false, '''open''::text'),
            ('conversations', 'last_message_at', 'timestamp with time zone', true, NULL),
            ('conversations', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('conversations', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('messages', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('messages', 'conversation_id', 'uuid', false, NULL),
            ('messages', 'sender', 'text', false, NULL),
            ('messages', 'content', 'text', false, NULL),
            ('messages', 'message_type', 'text', false, '''text''::text'),
            ('messages', 'status', 'text', false, '''queued''::text'),
            ('messages', 'external_id', 'text', true, NULL),
            ('messages', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('messages', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('messages', 'unit_id', 'uuid', true, NULL),
            ('messages', 'provider', 'text', true, NULL),
            ('messages', 'direction', 'text', true, NULL),
            ('messages', 'remote_jid', 'text', true, NULL),
            ('messages', 'recipient_phone', 'text', true, NULL),
            ('messages', 'caption', 'text', true, NULL),
            ('messages', 'media_mimetype', 'text', true, NULL),
            ('messages', 'client_message_id', 'text', true, NULL),
            ('messages', 'params_hash', 'text', true, NULL),
            ('messages', 'delivery_policy', 'text', true, NULL),
            ('messages', 'attempts', 'integer', false, '0'),
            ('messages', 'retry_count', 'integer', true, '0'),
            ('messages', 'last_retry_at', 'timestamp with time zone', true, NULL),
            ('messages', 'error_details', 'text', true, NULL),
            ('messages', 'next_attempt_at', 'timestamp with time zone', true, NULL),
            ('messages', 'lease_until', 'timestamp with time zone', true, NULL),
            ('messages', 'lease_token', 'uuid', true, NULL),
            ('messages', 'provider_timestamp', 'timestamp with time zone', true, NULL),
            ('messages', 'sent_at', 'timestamp with time zone', true, NULL),
            ('messages', 'delivered_at', 'timestamp with time zone', true, NULL),
            ('messages', 'read_at', 'timestamp with time zone', true, NULL),
            ('campaigns', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('campaigns', 'unit_id', 'uuid', false, NULL),
            ('campaigns', 'name', 'text', false, NULL),
            ('campaigns', 'content', 'text', false, NULL),
            ('campaigns', 'status', 'text', false, '''draft''::text'),
            ('campaigns', 'scheduled_at', 'timestamp with time zone', true, NULL),
            ('campaigns', 'started_at', 'timestamp with time zone', true, NULL),
            ('campaigns', 'completed_at', 'timestamp with time zone', true, NULL),
            ('campaigns', 'error', 'text', true, NULL),
            ('campaigns', 'metadata', 'jsonb', false, '''{}''::jsonb'),
            ('campaigns', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('campaigns', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('campaigns', 'delivery_policy', 'text', false, '''at_most_once''::text'),
            ('campaigns', 'pause_reason', 'text', true, NULL),
            ('campaigns', 'resume_at', 'timestamp with time zone', true, NULL),
            ('campaigns', 'lease_until', 'timestamp with time zone', true, NULL),
            ('campaigns', 'lease_token', 'uuid', true, NULL),
            ('campaign_recipients', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('campaign_recipients', 'unit_id', 'uuid', false, NULL),
            ('campaign_recipients', 'campaign_id', 'uuid', false, NULL),
            ('campaign_recipients', 'contact_id', 'uuid', false, NULL),
            ('campaign_recipients', 'position', 'integer', false, '0'),
            ('campaign_recipients', 'phone', 'text', true, NULL),
            ('campaign_recipients', 'status', 'text', false, '''pending''::text'),
            ('campaign_recipients', 'sent_at', 'timestamp with time zone', true, NULL),
            ('campaign_recipients', 'delivered_at', 'timestamp with time zone', true, NULL),
            ('campaign_recipients', 'read_at', 'timestamp with time zone', true, NULL),
            ('campaign_recipients', 'message_id', 'uuid', true, NULL),
            ('campaign_recipients', 'error_message', 'text', true, NULL),
            ('campaign_recipients', 'created_at', 'timestamp with time zone', false, 'now()'),
            ('campaign_recipients', 'updated_at', 'timestamp with time zone', false, 'now()'),
            ('webhook_quarantine', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('webhook_quarantine', 'unit_id', 'uuid', true, NULL),
            ('webhook_quarantine', 'provider', 'text', false, NULL),
            ('webhook_quarantine', 'instance_id', 'text', true, NULL),
            ('webhook_quarantine', 'event', 'text', true, NULL),
            ('webhook_quarantine', 'reason', 'text', false, NULL),
            ('webhook_quarantine', 'body', 'bytea', false, NULL),
            ('webhook_quarantine', 'body_size', 'bigint', false, NULL),
            ('webhook_quarantine', 'status', 'text', false, '''quarantined''::text'),
            ('webhook_quarantine', 'replays', 'integer', false, '0'),
            ('webhook_quarantine', 'last_error', 'text', true, NULL),
            ('webhook_quarantine', 'received_at', 'timestamp with time zone', false, 'now()'),
            ('webhook_quarantine', 'replayed_at', 'timestamp with time zone', true, NULL),
            ('pending_message_updates', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('pending_message_updates', 'unit_id', 'uuid', false, NULL),
            ('pending_message_updates', 'external_id', 'text', false, NULL),
            ('pending_message_updates', 'status', 'text', false, NULL),
            ('pending_message_updates', 'error_details', 'text', true, NULL),
            ('pending_message_updates', 'received_at', 'timestamp with time zone', false, 'now()'),
            ('refresh_tokens', 'id', 'uuid', false, 'gen_random_uuid()'),
            ('refresh_tokens', 'unit_id', 'uuid', true, NULL),
            ('refresh_tokens', 'user_id', 'uuid', false, NULL),
            ('refresh_tokens', 'family_id', 'uuid', false, NULL),
            ('refresh_tokens', 'token_hash', 'text', false, NULL),
            ('refresh_tokens', 'issued_at', 'timestamp with time zone', false, 'now()'),
            ('refresh_tokens', 'expires_at', 'timestamp with time zone', false, NULL),
            ('refresh_tokens', 'used_at', 'timestamp with time zone', true, NULL),
            ('refresh_tokens', 'revoked_at', 'timestamp with time zone', true, NULL)
        ), actual AS (
            SELECT
                relation.relname::text AS table_name,
                attribute.attname::text AS column_name,
                pg_catalog.format_type(attribute.atttypid, attribute.atttypmod) AS type_name,
                NOT attribute.attnotnull AS nullable,
                attribute.attgenerated <> '' OR attribute.attidentity <> '' AS computed,
                pg_catalog.pg_get_expr(value.adbin, value.adrelid) AS default_value
            FROM pg_catalog.pg_class AS relation
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid
            LEFT JOIN pg_catalog.pg_attrdef AS value
                ON value.adrelid = attribute.attrelid AND value.adnum = attribute.attnum
            WHERE relation.relnamespace = 'public'::regnamespace AND relation.relname = ANY (tables)
                AND attribute.attnum > 0 AND NOT attribute.attisdropped
        )
        SELECT format('column public.%s.%s ', table_name, column_name) || CASE
            WHEN actual.type_name IS NULL THEN 'is missing'
            WHEN expected.type_name IS NULL THEN 'is not known to the backend, NOT NULL and without default'
            WHEN actual.type_name <> expected.type_name
                THEN format('is %s, must be %s', actual.type_name, expected.type_name)
            WHEN actual.nullable <> expected.nullable
                THEN CASE WHEN expected.nullable THEN 'must be nullable' ELSE 'must be NOT NULL' END
            WHEN actual.computed THEN 'is generated, must be writable'
            ELSE format(
                'has the default %s, must be %s',
                coalesce(actual.default_value, 'none'), coalesce(expected.default_value, 'none')
            )
        END
        FROM expected FULL JOIN actual USING (table_name, column_name)
        WHERE actual.type_name IS NULL
            OR (expected.type_name IS NULL AND NOT actual.nullable AND actual.default_value IS NULL AND NOT actual.computed)
            OR (expected.type_name IS NOT NULL AND (
                actual.type_name <> expected.type_name
                OR actual.nullable <> expected.nullable
                OR actual.computed
                OR actual.default_value IS DISTINCT FROM expected.default_value
            ))
        ORDER BY table_name, column_name
    LOOP
        faults := faults || fault;
    END LOOP;

    -- Keys: primary, unique and foreign, by definition, validated and enforced at once.
    FOR fault IN
        WITH expected (table_name, definition) AS (VALUES
            ('units', 'PRIMARY KEY (id)'),
            ('units', 'UNIQUE (slug)'),
            ('users', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('users', 'PRIMARY KEY (id)'),
            ('contacts', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('contacts', 'PRIMARY KEY (id)'),
            ('contacts', 'UNIQUE (unit_id, phone)'),
            ('unit_whatsapp_connections', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('unit_whatsapp_connections', 'PRIMARY KEY (id)'),
            ('unit_whatsapp_connections', 'UNIQUE (unit_id)'),
            ('conversations', 'FOREIGN KEY (contact_id) REFERENCES contacts(id)'),
            ('conversations', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('conversations', 'PRIMARY KEY (id)'),
            ('messages', 'FOREIGN KEY (conversation_id) REFERENCES conversations(id)'),
            ('messages', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('messages', 'PRIMARY KEY (id)'),
            ('campaigns', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('campaigns', 'PRIMARY KEY (id)'),
            ('campaign_recipients', 'FOREIGN KEY (campaign_id) REFERENCES campaigns(id) ON DELETE CASCADE'),
            ('campaign_recipients', 'FOREIGN KEY (contact_id) REFERENCES contacts(id)'),
            ('campaign_recipients', 'FOREIGN KEY (message_id) REFERENCES messages(id) ON DELETE SET NULL'),
            ('campaign_recipients', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('campaign_recipients', 'PRIMARY KEY (id)'),
            ('campaign_recipients', 'UNIQUE (campaign_id, contact_id)'),
            ('webhook_quarantine', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('webhook_quarantine', 'PRIMARY KEY (id)'),
            ('pending_message_updates', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('pending_message_updates', 'PRIMARY KEY (id)'),
            ('pending_message_updates', 'UNIQUE (unit_id, external_id, status)'),
            ('refresh_tokens', 'FOREIGN KEY (unit_id) REFERENCES units(id)'),
            ('refresh_tokens', 'FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE'),
            ('refresh_tokens', 'PRIMARY KEY (id)'),
            ('refresh_tokens', 'UNIQUE (token_hash)')
        ), actual AS (
            SELECT
                relation.relname::text AS table_name,
                replace(pg_catalog.pg_get_constraintdef(con.oid), ' NOT VALID', '') AS definition,
                con.convalidated AS validated,
                con.conname::text AS name
            FROM pg_catalog.pg_constraint AS con
            JOIN pg_catalog.pg_class AS relation ON relation.oid = con.conrelid
            WHERE relation.relnamespace = 'public'::regnamespace AND con.contype IN ('p', 'u', 'f')
        )
        SELECT CASE
            WHEN actual.name IS NULL THEN format('table public.%s lacks the constraint %s', table_name, definition)
            ELSE format('constraint %s on public.%s is not validated', actual.name, table_name)
        END
        FROM expected LEFT JOIN actual USING (table_name, definition)
        WHERE actual.name IS NULL OR NOT actual.validated
        ORDER BY table_name, definition
    LOOP
        faults := faults || fault;
    END LOOP;

    -- Indexes: uniqueness, columns, predicate, validity.
    FOR fault IN
        WITH expected (table_name, index_name, is_unique, key, predicate) AS (VALUES
            ('users', 'idx_users_email', true, 'lower(email)', NULL),
            ('users', 'idx_users_unit', false, 'unit_id', NULL),
            ('contacts', 'idx_contacts_unit_created', false, 'unit_id, created_at, id', NULL),
            ('contacts', 'idx_contacts_unit_lid', true, 'unit_id, lid', '(lid IS NOT NULL)'),
            ('unit_whatsapp_connections', 'idx_unit_whatsapp_instance_lookup', true, 'instance_id',
                '(instance_id IS NOT NULL)'),
            ('conversations', 'idx_conversations_open_contact', false, 'contact_id', '(status = ''open''::text)'),
            ('conversations', 'idx_conversations_unit_recent', false, 'unit_id, last_message_at, id', NULL),
            ('messages', 'idx_messages_client_message_id_unit', true, 'conversation_id, client_message_id',
                '(client_message_id IS NOT NULL)'),
            ('messages', 'idx_messages_conversation_created', false, 'conversation_id, created_at, id', NULL),
            ('messages', 'idx_messages_due', false, 'next_attempt_at',
                '(status = ANY (ARRAY[''queued''::text, ''sending''::text, ''unknown''::text]))'),
            ('messages', 'idx_messages_retry_failed', false, 'status, retry_count, last_retry_at',
                '(status = ANY (ARRAY[''failed''::text, ''queued''::text]))'),
            ('messages', 'idx_messages_unit_client_message_id', true, 'unit_id, client_message_id',
                '(client_message_id IS NOT NULL)'),
            ('messages', 'idx_messages_unit_external_id', true, 'unit_id, external_id', '(external_id IS NOT NULL)'),
            ('campaigns', 'idx_campaigns_active', false, 'status, scheduled_at',
                '(status = ANY (ARRAY[''scheduled''::text, ''processing''::text]))'),
            ('campaigns', 'idx_campaigns_unit_created', false, 'unit_id, created_at, id', NULL),
            ('campaign_recipients', 'idx_campaign_recipients_contact', false, 'contact_id', NULL),
            ('campaign_recipients', 'idx_campaign_recipients_message', true, 'message_id', '(message_id IS NOT NULL)'),
            ('campaign_recipients', 'idx_campaign_recipients_next', false, 'campaign_id, status, "position"', NULL),
            ('webhook_quarantine', 'idx_webhook_quarantine_open', false, 'received_at', '(status = ''quarantined''::text)'),
            ('webhook_quarantine', 'idx_webhook_quarantine_unit', false, 'unit_id, received_at', NULL),
            ('pending_message_updates', 'idx_pending_message_updates_received', false, 'received_at', NULL),
            ('refresh_tokens', 'idx_refresh_tokens_expires', false, 'expires_at', NULL),
            ('refresh_tokens', 'idx_refresh_tokens_family', false, 'family_id', NULL),
            ('refresh_tokens', 'idx_refresh_tokens_user', false, 'user_id', NULL)
        ), actual AS (
            SELECT
                relation.relname::text AS index_name,
                owner.relname::text AS table_name,
                index.indisunique AS is_unique,
                index.indisvalid AND index.indisready AS is_valid,
                (
                    SELECT string_agg(pg_catalog.pg_get_indexdef(index.indexrelid, position, false), ', ' ORDER BY position)
                    FROM generate_series(1, index.indnatts) AS position
                ) AS key,
                pg_catalog.pg_get_expr(index.indpred, index.indrelid) AS predicate,
                pg_catalog.pg_get_indexdef(index.indexrelid) AS definition
            FROM pg_catalog.pg_index AS index
            JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indexrelid
            JOIN pg_catalog.pg_class AS owner ON owner.oid = index.indrelid
            WHERE relation.relnamespace = 'public'::regnamespace
        ), judged AS (
            SELECT
                expected.*,
                actual.table_name AS actual_table,
                actual.is_unique AS actual_unique,
                actual.key AS actual_key,
                actual.predicate AS actual_predicate,
                actual.is_valid,
                actual.definition,
                format(
                    'CREATE %sINDEX %I ON public.%I USING btree (%s)%s',
                    CASE WHEN expected.is_unique THEN 'UNIQUE ' END, expected.index_name, expected.table_name, expected.key,
                    ' WHERE ' || expected.predicate
                ) AS wanted
            FROM expected LEFT JOIN actual USING (index_name)
        )
        SELECT format('index public.%s ', index_name) || CASE
            WHEN definition IS NULL THEN 'is missing'
            WHEN actual_table <> table_name THEN format('is on public.%s, must be on public.%s', actual_table, table_name)
            WHEN NOT is_valid THEN 'is invalid'
            WHEN actual_unique <> is_unique THEN CASE WHEN is_unique THEN 'is not unique' ELSE 'must not be unique' END
            WHEN actual_key <> key THEN format('covers (%s), must cover (%s)', actual_key, key)
            WHEN actual_predicate IS DISTINCT FROM predicate
                THEN format('has the predicate %s, must have %s', coalesce(actual_predicate, 'none'), coalesce(predicate, 'none'))
            ELSE format('is %s, must be %s', definition, wanted)
        END
        FROM judged
        WHERE definition IS NULL OR NOT is_valid OR definition <> wanted
        ORDER BY index_name
    LOOP
        faults := faults || fault;
    END LOOP;

    -- A unique index that the backend does not know refuses rows that it takes for new.
    FOR fault IN
        SELECT format(
            'unique index %s is not known to the backend: %s',
            index.indexrelid::regclass, pg_catalog.pg_get_indexdef(index.indexrelid)
        )
        FROM pg_catalog.pg_index AS index
        JOIN pg_catalog.pg_class AS owner ON owner.oid = index.indrelid
        JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indexrelid
        WHERE owner.relnamespace = 'public'::regnamespace AND owner.relname = ANY (tables) AND index.indisunique
            AND relation.relname <> ALL (ARRAY[
                'idx_users_email',
                'idx_contacts_unit_lid',
                'idx_unit_whatsapp_instance_lookup',
                'idx_messages_client_message_id_unit',
                'idx_messages_unit_client_message_id',
                'idx_messages_unit_external_id',
                'idx_campaign_recipients_message'
            ])
            AND NOT EXISTS (
                SELECT 1 FROM pg_catalog.pg_constraint AS con
                WHERE con.conindid = index.indexrelid AND con.conrelid = index.indrelid
                    AND (owner.relname, pg_catalog.pg_get_constraintdef(con.oid)) IN (
                        ('units', 'PRIMARY KEY (id)'),
                        ('units', 'UNIQUE (slug)'),
                        ('users', 'PRIMARY KEY (id)'),
                        ('contacts', 'PRIMARY KEY (id)'),
                        ('contacts', 'UNIQUE (unit_id, phone)'),
                        ('unit_whatsapp_connections', 'PRIMARY KEY (id)'),
                        ('unit_whatsapp_connections', 'UNIQUE (unit_id)'),
                        ('conversations', 'PRIMARY KEY (id)'),
                        ('messages', 'PRIMARY KEY (id)'),
                        ('campaigns', 'PRIMARY KEY (id)'),
                        ('campaign_recipients', 'PRIMARY KEY (id)'),
                        ('campaign_recipients', 'UNIQUE (campaign_id, contact_id)'),
                        ('webhook_quarantine', 'PRIMARY KEY (id)'),
                        ('pending_message_updates', 'PRIMARY KEY (id)'),
                        ('pending_message_updates', 'UNIQUE (unit_id, external_id, status)'),
                        ('refresh_tokens', 'PRIMARY KEY (id)'),
                        ('refresh_tokens', 'UNIQUE (token_hash)')
                    )
            )
    LOOP
        faults := faults || fault;
    END LOOP;

    -- Value rules, by asking each CHECK on the column about each value.
    FOR probe IN
        SELECT * FROM (VALUES
            ('users', 'role', '{"role": "super_admin"}', true),
            ('users', 'role', '{"role": "unit_admin", "unit_id": "00000000-0000-0000-0000-000000000000"}', true),
            ('users', 'role', '{"role": "agent", "unit_id": "00000000-0000-0000-0000-000000000000"}', true),
            ('users', 'role', '{"role": "no such value", "unit_id": "00000000-0000-0000-0000-000000000000"}', false),
            ('unit_whatsapp_connections', 'status', '{"status": "connecting"}', true),
            ('unit_whatsapp_connections', 'status', '{"status": "qr"}', true),
            ('unit_whatsapp_connections', 'status', '{"status": "connected"}', true),
            ('unit_whatsapp_connections', 'status', '{"status": "disconnected"}', true),
            ('unit_whatsapp_connections', 'status', '{"status": "error"}', true),
            ('unit_whatsapp_connections', 'status', '{"status": "no such value"}', false),
            ('conversations', 'status', '{"status": "open"}', true),
            ('conversations', 'status', '{"status": "closed"}', true),
            ('conversations', 'status', '{"status": "no such value"}', false),
            ('messages', 'sender', '{"sender": "customer"}', true),
            ('messages', 'sender', '{"sender": "agent"}', true),
            ('messages', 'sender', '{"sender": "system"}', true),
            ('messages', 'sender', '{"sender": "no such value"}', false),
            ('messages', 'status', '{"status": "received"}', true),
            ('messages', 'status', '{"status": "queued"}', true),
            ('messages', 'status', '{"status": "sending"}', true),
            ('messages', 'status', '{"status": "sent"}', true),
            ('messages', 'status', '{"status": "delivered"}', true),
            ('messages', 'status', '{"status": "read"}', true),
            ('messages', 'status', '{"status": "failed"}', true),
            ('messages', 'status', '{"status": "unknown"}', true),
            ('messages', 'status', '{"status": "no such value"}', false),
            ('messages', 'direction', '{"direction": "inbound"}', true),
            ('messages', 'direction', '{"direction": "outbound"}', true),
            ('messages', 'direction', '{"direction": "no such value"}', false),
            ('messages', 'delivery_policy', '{"delivery_policy": "at_most_once"}', true),
            ('messages', 'delivery_policy', '{"delivery_policy": "at_least_once"}', true),
            ('messages', 'delivery_policy', '{"delivery_policy": "no such value"}', false),
            ('campaigns', 'status', '{"status": "draft"}', true),
            ('campaigns', 'status', '{"status": "scheduled"}', true),
            ('campaigns', 'status', '{"status": "processing"}', true),
            ('campaigns', 'status', '{"status": "paused"}', true),
            ('campaigns', 'status', '{"status": "completed"}', true),
            ('campaigns', 'status', '{"status": "failed"}', true),
            ('campaigns', 'status', '{"status": "cancelled"}', true),
            ('campaigns', 'status', '{"status": "no such value"}', false),
            ('campaigns', 'delivery_policy', '{"delivery_policy": "at_most_once"}', true),
            ('campaigns', 'delivery_policy', '{"delivery_policy": "at_least_once"}', true),
            ('campaigns', 'delivery_policy', '{"delivery_policy": "no such value"}', false),
            ('campaign_recipients', 'status', '{"status": "pending"}', true),
            ('campaign_recipients', 'status', '{"status": "sent"}', true),
            ('campaign_recipients', 'status', '{"status": "delivered"}', true),
            ('campaign_recipients', 'status', '{"status": "read"}', true),
            ('campaign_recipients', 'status', '{"status": "failed"}', true),
            ('campaign_recipients', 'status', '{"status": "unknown"}', true),
            ('campaign_recipients', 'status', '{"status": "no such value"}', false),
            ('webhook_quarantine', 'status', '{"status": "quarantined"}', true),
            ('webhook_quarantine', 'status', '{"status": "replayed"}', true),
            ('webhook_quarantine', 'status', '{"status": "discarded"}', true),
            ('webhook_quarantine', 'status', '{"status": "no such value"}', false),
            ('pending_message_updates', 'status', '{"status": "sent"}', true),
            ('pending_message_updates', 'status', '{"status": "delivered"}', true),
            ('pending_message_updates', 'status', '{"status": "read"}', true),
            ('pending_message_updates', 'status', '{"status": "failed"}', true),
            ('pending_message_updates', 'status', '{"status": "no such value"}', false),
            ('users', 'unit_id', '{"role": "agent"}', false),
            ('users', 'unit_id', '{"role": "super_admin"}', true),
            ('contacts', 'phone', '{}', false),
            ('contacts', 'phone', '{"phone": "5511999990000"}', true),
            ('contacts', 'phone', '{"lid": "98765"}', true),
            ('messages', 'attempts', '{"attempts": 0}', true),
            ('messages', 'attempts', '{"attempts": 3}', true),
            ('messages', 'attempts', '{"attempts": 4}', false),
            ('messages', 'attempts', '{"attempts": -1}', false)
        ) AS list (table_name, column_name, record, allowed)
    LOOP
        admitted := true;
        FOR rule IN
            SELECT con.conname AS name, pg_catalog.pg_get_expr(con.conbin, con.conrelid) AS expression
            FROM pg_catalog.pg_constraint AS con
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = con.conrelid AND attribute.attnum = ANY (con.conkey)
            WHERE con.conrelid = format('public.%I', probe.table_name)::regclass AND con.contype = 'c'
                AND attribute.attname = probe.column_name
                AND pg_catalog.pg_get_constraintdef(con.oid) NOT LIKE '%NOT ENFORCED%'
        LOOP
            EXECUTE format(
                'SELECT (%s) IS NOT FALSE FROM pg_catalog.jsonb_populate_record(NULL::public.%I, $1) AS %I',
                rule.expression, probe.table_name, probe.table_name
            ) INTO answer USING probe.record::jsonb;
            IF NOT answer THEN
                admitted := false;
                IF probe.allowed THEN
                    faults := faults || format(
                        'CHECK %s on public.%s refuses %s', rule.name, probe.table_name, probe.record::jsonb -> probe.column_name
                    );
                END IF;
            END IF;
        END LOOP;
        IF admitted AND NOT probe.allowed THEN
            faults := faults || format('no CHECK on public.%s.%s refuses %s', probe.table_name, probe.column_name, probe.record);
        END IF;
    END LOOP;
    FOR fault IN
        SELECT format('CHECK %s on %s is not validated', con.conname, con.conrelid::regclass)
        FROM pg_catalog.pg_constraint AS con
        JOIN pg_catalog.pg_class AS relation ON relation.oid = con.conrelid
        WHERE con.contype = 'c' AND NOT con.convalidated
            AND relation.relnamespace = 'public'::regnamespace AND relation.relname = ANY (tables)
        ORDER BY con.conname
    LOOP
        faults := faults || fault;
    END LOOP;

    -- Tenants: forced on every table, by the one policy, with nothing beside it that the runtime role could use.
    FOR fault IN
        WITH expected AS (
            SELECT
                relation.oid AS id, relation.relname::text AS name, relation.relowner AS owner,
                relation.relrowsecurity AS enabled, relation.relforcerowsecurity AS forced,
                format(
                    '((%I = ( SELECT (NULLIF(current_setting(''app.unit_id''::text, true), ''''::text))::uuid AS "nullif")) OR '
                    '(( SELECT current_setting(''app.scope''::text, true) AS current_setting) = ''system''::text))',
                    CASE relation.relname WHEN 'units' THEN 'id' ELSE 'unit_id' END
                ) AS tenant
            FROM pg_catalog.pg_class AS relation
            WHERE relation.relnamespace = 'public'::regnamespace AND relation.relname = ANY (tables)
        ), policy AS (
            SELECT
                polrelid, polname::text AS name, polpermissive AS permissive, polcmd = '*' AS whole, polroles AS roles,
                pg_catalog.pg_get_expr(polqual, polrelid) AS qual,
                coalesce(pg_catalog.pg_get_expr(polwithcheck, polrelid), pg_catalog.pg_get_expr(polqual, polrelid)) AS with_check
            FROM pg_catalog.pg_policy
        )
        SELECT format('row-level security is not enabled on public.%s', name) FROM expected WHERE NOT enabled
        UNION ALL
        SELECT format('row-level security is not forced on public.%s', name) FROM expected WHERE NOT forced
        UNION ALL
        SELECT format('policy tenant_isolation on public.%s is missing or does not compare app.unit_id with the row', expected.name)
        FROM expected
        WHERE NOT EXISTS (
            SELECT 1 FROM policy
            WHERE policy.polrelid = expected.id AND policy.name = 'tenant_isolation' AND policy.permissive AND policy.whole
                AND policy.roles = ARRAY[0::oid] AND policy.qual = expected.tenant AND policy.with_check = expected.tenant
        )
        UNION ALL
        SELECT format('policy previous_release on public.%s does not let the owner see every row', expected.name)
        FROM expected
        WHERE NOT EXISTS (
            SELECT 1 FROM policy
            WHERE policy.polrelid = expected.id AND policy.name = 'previous_release' AND policy.permissive AND policy.whole
                AND expected.owner = ANY (policy.roles) AND policy.qual = 'true' AND policy.with_check = 'true'
        )
        UNION ALL
        SELECT format('policy %s on public.%s holds for the runtime role beside tenant_isolation', policy.name, expected.name)
        FROM expected JOIN policy ON policy.polrelid = expected.id
        WHERE policy.name <> 'tenant_isolation' AND (
            0 = ANY (policy.roles)
            OR EXISTS (SELECT 1 FROM unnest(policy.roles) AS role WHERE role <> 0 AND pg_catalog.pg_has_role(runtime, role, 'MEMBER'))
        )
        UNION ALL
        SELECT format('the role golive_runtime is a member of the owner of public.%s', name)
        FROM expected WHERE pg_catalog.pg_has_role(runtime, owner, 'MEMBER')
        UNION ALL
        SELECT format('the role golive_runtime may not %s public.%s', right_name, name)
        FROM expected CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS right_name
        WHERE NOT pg_catalog.has_table_privilege(runtime, id, right_name)
        UNION ALL
        SELECT 'the role golive_runtime bypasses row-level security'
        FROM pg_catalog.pg_roles WHERE oid = runtime AND (rolsuper OR rolbypassrls)
    LOOP
        faults := faults || fault;
    END LOOP;

    -- The trigger that gives the previous release's rows their unit.
    IF NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_trigger AS trigger
        JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
        WHERE trigger.tgrelid = 'public.messages'::regclass AND trigger.tgenabled IN ('O', 'A')
            AND pg_catalog.pg_get_triggerdef(trigger.oid) = 'CREATE TRIGGER messages_fill_tenant BEFORE INSERT ON public.messages '
                'FOR EACH ROW EXECUTE FUNCTION messages_fill_tenant()'
            AND function.pronamespace = 'public'::regnamespace
            AND md5(regexp_replace(function.prosrc, '\s+', ' ', 'g')) = '0dd7918a0304c56a547ab2575d95ee96'
    ) THEN
        faults := faults || 'trigger messages_fill_tenant on public.messages is missing, disabled or another one'::text;
    END IF;

    IF cardinality(faults) > 0 THEN
        RAISE EXCEPTION 'MIGRATION INCOMPLETE: %', array_to_string(faults, '; ');
    END IF;
    IF EXISTS (SELECT 1 FROM public.messages WHERE unit_id IS NULL OR direction IS NULL) THEN
        RAISE EXCEPTION 'MIGRATION INCOMPLETE: rows of public.messages have no unit';
    END IF;

    RAISE NOTICE 'ALL MIGRATIONS APPLIED SUCCESSFULLY!';
END
$verification$;
