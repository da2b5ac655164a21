-- The schema as it is in production before the WhatsApp integration: what the previous release reads and writes.
-- PRODUCTION_MIGRATION_GOLIVE.sql starts from here. Applied to an empty schema only, in one transaction.

CREATE TABLE public.units (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    slug text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT units_pkey PRIMARY KEY (id),
    CONSTRAINT units_slug_key UNIQUE (slug)
);

CREATE TABLE public.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid,
    name text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT users_role_check CHECK (role IN ('super_admin', 'unit_admin', 'agent')),
    CONSTRAINT users_unit_check CHECK (role = 'super_admin' OR unit_id IS NOT NULL)
);

CREATE UNIQUE INDEX idx_users_email ON public.users (lower(email));

CREATE INDEX idx_users_unit ON public.users (unit_id);

CREATE TABLE public.contacts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid NOT NULL,
    phone text NOT NULL,
    name text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT contacts_pkey PRIMARY KEY (id),
    CONSTRAINT contacts_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT contacts_unit_id_phone_key UNIQUE (unit_id, phone)
);

CREATE TABLE public.unit_whatsapp_connections (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid NOT NULL,
    provider text DEFAULT 'evolution' NOT NULL,
    instance_id text,
    phone text,
    status text DEFAULT 'disconnected' NOT NULL,
    qr_code text,
    webhook_secret text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT unit_whatsapp_connections_pkey PRIMARY KEY (id),
    CONSTRAINT unit_whatsapp_connections_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT unit_whatsapp_connections_unit_id_key UNIQUE (unit_id),
    CONSTRAINT unit_whatsapp_connections_status_check CHECK (status IN ('disconnected', 'connecting', 'connected', 'error'))
);

CREATE TABLE public.conversations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    unit_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    status text DEFAULT 'open' NOT NULL,
    last_message_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT conversations_pkey PRIMARY KEY (id),
    CONSTRAINT conversations_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES public.units (id),
    CONSTRAINT conversations_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contacts (id),
    CONSTRAINT conversations_status_check CHECK (status IN ('open', 'closed'))
);

CREATE INDEX idx_conversations_unit_recent ON public.conversations (unit_id, last_message_at, id);

CREATE TABLE public.messages (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    conversation_id uuid NOT NULL,
    sender text NOT NULL,
    content text NOT NULL,
    message_type text DEFAULT 'text' NOT NULL,
    status text DEFAULT 'queued' NOT NULL,
    external_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT messages_pkey PRIMARY KEY (id),
    CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations (id),
    CONSTRAINT messages_sender_check CHECK (sender IN ('customer', 'agent', 'system')),
    CONSTRAINT messages_status_check CHECK (status IN ('received', 'queued', 'sent', 'delivered', 'read', 'failed'))
);

CREATE INDEX idx_messages_conversation_created ON public.messages (conversation_id, created_at, id);
