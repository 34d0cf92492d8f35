#include "hub/settings_table.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>

#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SECOND ((int64_t)1000)
#define DAY (86400 * SECOND)

#define TEXT(k, ...) { .key = k, .type = SETTING_STRING, __VA_ARGS__ }
#define NUMBER(k, lo, hi, ...) { .key = k, .type = SETTING_INT, .min = lo, .max = hi, __VA_ARGS__ }
#define SWITCH(k, ...) { .key = k, .type = SETTING_BOOL, .fallback = "false", __VA_ARGS__ }
#define TIME(k, lo, hi, ...) { .key = k, .type = SETTING_DURATION, .min = lo, .max = hi, __VA_ARGS__ }
#define BYTES(k, lo, hi, ...) { .key = k, .type = SETTING_BYTES, .min = lo, .max = hi, __VA_ARGS__ }
#define LIST(k, ...) { .key = k, .type = SETTING_LIST, __VA_ARGS__ }
#define URL(k, e, d, ...) { .key = k, .env = e, .fallback = d, .type = SETTING_URL, __VA_ARGS__ }
#define SECRET(k, e, ...) { .key = k, .env = e, .type = SETTING_SECRET, __VA_ARGS__ }
#define IN(g, text) .group = g, .description = text

/* Where a vendor's API is, where that is not said. */
#define VENDOR(g, e, d) URL(g ".base_url", e "_BASE_URL", d, IN(g, "Where its API is."))

#define SERVER "server"
#define LOG "log"
#define ACCESS "access"
#define HTTP "http"
#define METRICS "metrics"
#define STORE "database"
#define DEPLOYMENT "deployment"
#define NODES "nodes"
#define GATEWAY "gateway"

const struct setting_row settings_table[] = {
    TEXT("listen", .fallback = "127.0.0.1:3000", .flag = "listen", .placeholder = "ADDRESS:PORT",
         IN(SERVER, "Where the hub listens. Any address but loopback needs TLS or behind_proxy.")),
    TEXT("data", .flag = "data", .placeholder = "DIR",
         IN(SERVER, "The folder of the hub's data. Without it /var/lib/hbcloud for root where that exists, else "
                    "~/.local/share/hbcloud.")),
    TEXT("tls.certificate", .flag = "tls-certificate", .placeholder = "FILE",
         IN(SERVER, "Certificate chain (PEM) of the listener; needs tls.key.")),
    TEXT("tls.key", .flag = "tls-key", .placeholder = "FILE",
         IN(SERVER, "Private key (PEM) of tls.certificate: the file's name.")),
    SWITCH("behind_proxy", .flag = "behind-proxy",
           IN(SERVER, "A proxy in front ends TLS, so a public address is allowed.")),
    LIST("trusted_proxies", .flag = "trusted-proxies", .placeholder = "LIST",
         IN(SERVER, "Addresses and networks whose X-Forwarded-For and X-Forwarded-Proto count, such as 10.0.0.0/8.")),
    TEXT("domain", .flag = "domain", .placeholder = "DOMAIN",
         IN(SERVER, "The owner's domain: pages on its subdomains may call the API with credentials (CORS).")),
    NUMBER("workers", 1, 256, .fallback = "8", IN(SERVER, "Threads that answer requests.")),
    SWITCH("validate_replies",
           IN(SERVER, "Check each reply against the contract, as the tests do; one that breaks it becomes an error.")),
    BYTES("snapshots.limit", MIB, 1024 * 1024 * GIB, .fallback = "20GiB",
          IN(SERVER, "Most bytes that the snapshots of volumes take together; one that would go above is not made, and "
                     "what it should have kept is not removed.")),
    TEXT("log.level", .fallback = "info", .choices = "debug info warn error", .flag = "log-level",
         .placeholder = "LEVEL", IN(LOG, "The least severe lines that are written: debug, info, warn or error.")),
    TEXT("log.format", .fallback = "auto", .choices = "auto json human", .flag = "log-format", .placeholder = "FORMAT",
         IN(LOG, "json, human, or auto: human on a terminal, JSON lines elsewhere.")),
    NUMBER("rate.anonymous", 0, 1000000, .fallback = "100",
           IN(ACCESS, "Requests a minute of an address without credentials (IPv6: of its /64). 0: no limit.")),
    NUMBER("rate.known", 0, 10000000, .fallback = "6000",
           IN(ACCESS, "Requests a minute of a key, session or token. 0: no limit.")),
    BYTES("database.wal_limit", MIB, 64 * GIB, .fallback = "64MiB",
          IN(STORE, "SQLite's write-ahead log is cut back when it is larger.")),
    SECRET("database.url", "DATABASE_URL", IN(STORE, "A PostgreSQL server in place of the embedded database.")),
    SECRET("redis.url", "REDIS_URL", IN(STORE, "A Redis server in place of the cache in the process.")),
    TIME("metrics.interval", SECOND, 3600 * SECOND, .fallback = "10s", IN(METRICS, "Between two samples.")),
    TIME("metrics.retention", DAY / 24, 3650 * DAY, .fallback = "90d", IN(METRICS, "How long samples are kept.")),

    NUMBER("releases.kept", 1, 100, .fallback = "5",
           IN(DEPLOYMENT, "Releases of a service whose images stay on the node, to be deployed again by a rollback.")),

    TIME("pull.stall", SECOND, 3600 * SECOND, .fallback = "3m",
         IN(DEPLOYMENT, "A pull in which nothing moves for so long ends, and its deployment with it.")),
    SWITCH("drift.repair",
           IN(DEPLOYMENT,
              "Repair what is not as deployed by itself, when two comparisons in a row found it so; else it is "
              "only shown.")),

    TIME("nodes.lost_after", SECOND, DAY, .fallback = "60s",
         IN(NODES, "A node whose container engine is silent for so long is lost: what may live elsewhere is deployed "
                   "there.")),

    TEXT("gateway.slots", .placeholder = "DIR",
         IN(GATEWAY,
            "The folder of the upstreams' files, which the router must be able to read: DATA/upstreams when not "
            "said.")),

    BYTES("http.header_bytes", KIB, MIB, .fallback = "16KiB", IN(HTTP, "Request line and header block of a request.")),
    NUMBER("http.header_count", 8, 1024, .fallback = "64", IN(HTTP, "Header fields of a request.")),
    BYTES("http.body_bytes", KIB, GIB, .fallback = "16MiB",
          IN(HTTP, "Body of a request, where the operation allows as much.")),
    NUMBER("http.connections", 0, 1000000, .fallback = "0",
           IN(HTTP, "Connections at once. 0: 4096, or what the limit of open files allows.")),
    NUMBER("http.per_address", 1, 1000000, .fallback = "128",
           IN(HTTP, "Connections of an address (IPv6: of its /64); loopback and trusted proxies have no such limit.")),
    NUMBER("http.reserved", 0, 1000000, .fallback = "32",
           IN(HTTP, "Connections kept for addresses that have authenticated lately, and for loopback.")),
    TIME("http.header_time", 100, 600 * SECOND, .fallback = "10s", IN(HTTP, "For the header block to arrive.")),
    TIME("http.body_time", SECOND, 3600 * SECOND, .fallback = "60s", IN(HTTP, "For the whole body to arrive.")),
    NUMBER("http.body_rate", 1, 1000000000, .fallback = "256", IN(HTTP, "Bytes a second that a body must keep.")),
    TIME("http.body_grace", 100, 600 * SECOND, .fallback = "5s", IN(HTTP, "Before http.body_rate counts.")),
    BYTES("http.bodies_bytes", MIB, 64 * GIB, .fallback = "256MiB", IN(HTTP, "All bodies that are held at once.")),
    TIME("http.idle_time", SECOND, 3600 * SECOND, .fallback = "75s",
         IN(HTTP, "A connection may wait for its next request.")),
    TIME("http.write_time", SECOND, 3600 * SECOND, .fallback = "30s", IN(HTTP, "A reply may make no progress.")),
    NUMBER("http.queue", 1, 1000000, .fallback = "1024", IN(HTTP, "Requests that wait for a thread.")),
    BYTES("http.stream_bytes", 16 * KIB, GIB, .fallback = "256KiB",
          IN(HTTP, "Unsent bytes of a subscriber to events, before it is closed.")),

    URL("docker.host", "DOCKER_HOST", "unix:///var/run/docker.sock", IN("docker", "The local container engine.")),
    SECRET("portainer.api_key", "PORTAINER_API_KEY", IN("portainer", "An access token of Portainer.")),
    URL("portainer.url", "PORTAINER_URL", NULL, .placeholder = "https://portainer.example.org:9443",
        IN("portainer", "Where Portainer is.")),
    URL("caddy.admin_url", "CADDY_ADMIN_URL", NULL, .placeholder = "http://127.0.0.1:2019",
        IN("caddy", "Caddy's admin API.")),
    TEXT("caddy.server", .placeholder = "NAME",
         IN("caddy",
            "The server of Caddy's configuration that gets the routes. Without it the one that listens on :443, "
            "else on :80, else one of hbcloud's own.")),
    LIST("caddy.listen", .fallback = ":443", .placeholder = "LIST",
         IN("caddy",
            "Where hbcloud's own server in Caddy listens, where it makes one; with :443 Caddy redirects from :80 "
            "by itself.")),
    TEXT("caddy.slots", .placeholder = "DIR",
         IN("caddy", "Where Caddy sees the folder gateway.slots, when it runs in a container.")),
    TEXT("caddy.issuer", .fallback = "default", .choices = "default acme internal none",
         IN("caddy",
            "Who signs the certificates of the routes' domains: default (as Caddy is configured), acme "
            "(caddy.acme_directory), internal (Caddy's own authority), none (plain HTTP on hbcloud's own server).")),
    URL("caddy.acme_directory", NULL, NULL, .placeholder = "https://acme-v02.api.letsencrypt.org/directory",
        IN("caddy", "The ACME directory, for caddy.issuer acme.")),
    TEXT("caddy.acme_ca_file", .placeholder = "FILE",
         IN("caddy",
            "PEM file on Caddy's machine with the authority that signed the ACME directory's own certificate.")),
    TEXT("consul.address", .env = "CONSUL_HTTP_ADDR", .placeholder = "127.0.0.1:8500",
         IN("consul", "Where Consul is.")),
    SECRET("consul.token", "CONSUL_HTTP_TOKEN", IN("consul", "Consul's ACL token.")),
    SECRET("tailscale.authkey", "TAILSCALE_AUTHKEY", .alias = "TS_AUTHKEY", IN("tailscale", "A key that joins nodes.")),
    VENDOR("tailscale", "TAILSCALE", "https://api.tailscale.com"),
    SECRET("doppler.token", "DOPPLER_TOKEN", IN("doppler", "A service token.")),
    VENDOR("doppler", "DOPPLER", "https://api.doppler.com"),
    SECRET("datadog.api_key", "DATADOG_API_KEY", .alias = "DD_API_KEY", IN("datadog", "To send.")),
    SECRET("datadog.app_key", "DATADOG_APP_KEY", .alias = "DD_APP_KEY", IN("datadog", "To ask.")),
    VENDOR("datadog", "DATADOG", "https://api.datadoghq.com"),
    SECRET("newrelic.license_key", "NEW_RELIC_LICENSE_KEY", IN("newrelic", "To send.")),
    VENDOR("newrelic", "NEW_RELIC", "https://api.newrelic.com"),
    SECRET("sentry.dsn", "SENTRY_DSN", IN("sentry", "Where errors are sent, and as whom.")),
    VENDOR("sentry", "SENTRY", "https://sentry.io"),
    SECRET("honeybadger.api_key", "HONEYBADGER_API_KEY", IN("honeybadger", "To send errors.")),
    VENDOR("honeybadger", "HONEYBADGER", "https://api.honeybadger.io"),
    VENDOR("github", "GITHUB", "https://api.github.com"),
    SECRET("github.webhook_secret", "GITHUB_WEBHOOK_SECRET",
           IN("github", "The secret of its webhook; without it deliveries are refused.")),
    SECRET("github.token", "GITHUB_TOKEN", .alias = "GH_TOKEN",
           IN("github", "To tell how deployments go, and to ask for runs that were missed.")),
    SECRET("travis.token", "TRAVIS_TOKEN", IN("travis", "To ask for builds that were missed.")),
    TEXT("travis.public_key", .env = "TRAVIS_PUBLIC_KEY",
         IN("travis", "The public key (PEM) of its webhooks. Without it, it is asked of Travis' API.")),
    VENDOR("travis", "TRAVIS", "https://api.travis-ci.com"),
    SECRET("cloudflare.api_token", "CF_API_TOKEN", .alias = "CLOUDFLARE_API_TOKEN", IN("cloudflare", "For DNS.")),
    VENDOR("cloudflare", "CLOUDFLARE", "https://api.cloudflare.com/client/v4"),
    SECRET("hetzner.token", "HCLOUD_TOKEN", IN("hetzner", "For servers.")),
    VENDOR("hetzner", "HETZNER", "https://api.hetzner.cloud/v1"),
    SECRET("digitalocean.token", "DIGITALOCEAN_TOKEN", .alias = "DIGITALOCEAN_ACCESS_TOKEN",
           IN("digitalocean", "For droplets.")),
    VENDOR("digitalocean", "DIGITALOCEAN", "https://api.digitalocean.com/v2"),
    TEXT("azure.tenant_id", .env = "AZURE_TENANT_ID", IN("azure", "The directory.")),
    TEXT("azure.client_id", .env = "AZURE_CLIENT_ID", IN("azure", "The application.")),
    SECRET("azure.client_secret", "AZURE_CLIENT_SECRET", IN("azure", "The application's secret.")),
    VENDOR("azure", "AZURE", "https://management.azure.com"),
    TEXT("browserstack.username", .env = "BROWSERSTACK_USERNAME", IN("browserstack", "The account.")),
    SECRET("browserstack.access_key", "BROWSERSTACK_ACCESS_KEY", IN("browserstack", "The account's key.")),
    VENDOR("browserstack", "BROWSERSTACK", "https://api.browserstack.com"),
    TEXT("lambdatest.username", .env = "LAMBDATEST_USERNAME", .alias = "LT_USERNAME", IN("lambdatest", "The account.")),
    SECRET("lambdatest.access_key", "LAMBDATEST_ACCESS_KEY", .alias = "LT_ACCESS_KEY",
           IN("lambdatest", "The account's key.")),
    TEXT("simpleanalytics.id", .env = "VITE_SIMPLE_ANALYTICS_ID",
         IN("simpleanalytics", "The site's id; its script may then run in the dashboard.")),
    VENDOR("lambdatest", "LAMBDATEST", "https://api.lambdatest.com"),
};
const size_t settings_table_len = ARRAY_LEN(settings_table);

const struct setting_row *settings_row(const char *key)
{
    for (size_t i = 0; i < settings_table_len; i++)
        if (str_eq(settings_table[i].key, key))
            return &settings_table[i];
    return NULL;
}

const struct setting_row *settings_row_by_flag(const char *flag)
{
    for (size_t i = 0; i < settings_table_len; i++)
        if (settings_table[i].flag && str_eq(settings_table[i].flag, flag))
            return &settings_table[i];
    return NULL;
}

void settings_row_own_env(const struct setting_row *row, char ret[SETTING_ENV_MAX])
{
    (void)snprintf(ret, SETTING_ENV_MAX, "HBCLOUD_%s", row->key);
    for (char *p = ret; *p; p++)
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
}

void settings_row_env(const struct setting_row *row, char ret[SETTING_ENV_MAX])
{
    if (row->env)
        str_copy(ret, SETTING_ENV_MAX, row->env);
    else
        settings_row_own_env(row, ret);
}
