#define LOG_ROOM "runtime"
#include "runtime/internal.h"

#include "base/log.h"
#include "runtime/host_facts.h"

const char *const node_types[] = { "hub", "spoke", "experimentation", NULL };
const char *const node_statuses[] = { "active", "maintenance", "degraded", "offline", NULL };
const char *const providers[] = { "hetzner", "digitalocean", "azure", "local", "other", NULL };

#define HEARTBEAT_WRITE_MS 60000

uint8_t word_index(const char *const *words, const char *word)
{
    for (uint8_t i = 0; word && words[i]; i++)
        if (str_eq(words[i], word))
            return i;
    return 255;
}

static json_t *visible(const json_t *document)
{
    json_t *copy = json_deep_copy(document);
    (void)json_object_del(json_at(copy, "monitoring"), "_observedMs");
    (void)json_object_del(json_at(copy, "monitoring"), "_answeredMs");
    (void)json_object_del(json_at(copy, "metadata"), "_bootMs");
    return copy;
}

static int write_row(struct runtime *r, const json_t *d, int64_t version, struct error *e)
{
    int64_t created = 0, now = clock_now_ms();
    (void)time_parse(json_str(d, "metadata.createdAt"), &created);
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(
            c, e,
            "INSERT INTO infrastructure_nodes (id, name, type, provider, region, resources, networking, status, "
            "monitoring, metadata, labels, engine, version, created_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, type = excluded.type, provider = excluded.provider, "
            "region = excluded.region, resources = excluded.resources, networking = excluded.networking, "
            "status = excluded.status, monitoring = excluded.monitoring, metadata = excluded.metadata, "
            "labels = excluded.labels, engine = excluded.engine, version = excluded.version, updated_at = excluded.updated_at",
            "tttttjjtjjjjiii", json_str(d, "id"), json_str(d, "name"), json_str(d, "type"), json_str(d, "provider"),
            json_str(d, "region"), json_at(d, "resources"), json_at(d, "networking"), json_str(d, "status"),
            json_at(d, "monitoring"), json_at(d, "metadata"), json_at(d, "labels"), json_at(d, "engine"), version,
            created, now);
    return res == 0 ? store_commit(c, e) : res;
}

static int remember(struct runtime *r, const json_t *d, int64_t version, struct entity **ret, struct error *e)
{
    _cleanup_json_ json_t *shown = visible(d);
    struct row row = {
        .entity = entity_new(shown, version),
        .type = word_index(node_types, json_str(d, "type")),
        .status = word_index(node_statuses, json_str(d, "status")),
        .provider = word_index(providers, json_str(d, "provider")),
        .monitored = str_eq(json_str(d, "status"), "active") && json_str(d, "monitoring.lastHealthCheck"),
        .labels = json_incref(json_at(d, "labels")),
    };
    if (!row.entity || table_put(r->nodes, &row) < 0) {
        entity_unref(row.entity);
        json_decref(row.labels);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    if (ret)
        *ret = table_get(r->nodes, json_str(d, "id"));
    return 0;
}

int node_save(struct runtime *r, json_t *d, int64_t version, bool to_store, const char *event, struct entity **ret,
              struct error *e)
{
    struct entity *x = NULL;
    int res = to_store ? write_row(r, d, version, e) : 0;
    if (res == 0)
        res = remember(r, d, version, &x, e);
    if (res < 0)
        return res;
    if (event)
        events_publish(r->events, event, "node", x->id, x->json->data, x->json->len);
    if (ret)
        *ret = x;
    else
        entity_unref(x);
    return 0;
}

static json_t *row_document(struct store_rows *rows)
{
    json_t *d = json_object();
    (void)json_put(d, "id", json_string(rows_text(rows, 0)));
    (void)json_put(d, "name", json_string(rows_text(rows, 1)));
    (void)json_put(d, "type", json_string(rows_text(rows, 2)));
    (void)json_put(d, "provider", json_string(rows_text(rows, 3)));
    (void)json_put(d, "region", rows_null(rows, 4) ? json_null() : json_string(rows_text(rows, 4)));
    (void)json_put(d, "labels", rows_json(rows, 5));
    (void)json_put(d, "resources", rows_json(rows, 6));
    (void)json_put(d, "networking", rows_json(rows, 7));
    (void)json_put(d, "status", json_string(rows_text(rows, 8)));
    (void)json_put(d, "monitoring", rows_json(rows, 9));
    (void)json_put(d, "metadata", rows_json(rows, 10));
    (void)json_put(d, "engine", rows_null(rows, 12) ? json_pack("{s:s}", "kind", "none") : rows_json(rows, 12));
    return d;
}

int nodes_load(struct runtime *r, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_acquire(r->store, STORE_READ, &c, e);
    if (res == 0)
        res = store_query(c, e, &rows,
                          "SELECT id, name, type, provider, region, labels, resources, networking, status, monitoring, "
                          "metadata, version, engine FROM infrastructure_nodes",
                          "");
    table_load_begin(r->nodes);
    while (res == 0 && (res = rows_next(rows, e)) == 1) {
        _cleanup_json_ json_t *d = row_document(rows);
        res = remember(r, d, rows_int(rows, 11), NULL, e);
        if (res == 0 && str_eq(json_str(d, "type"), "hub") && str_eq(json_str(d, "provider"), "local"))
            str_copy(r->hub_id, sizeof r->hub_id, json_str(d, "id"));
    }
    table_load_end(r->nodes);
    return res;
}

/* A node with what the memory does not show; from the database. */
json_t *node_stored_document(struct runtime *r, const char *id, int64_t *ret_version)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    if (store_acquire(r->store, STORE_READ, &c, NULL) < 0 ||
        store_query(c, NULL, &rows,
                    "SELECT id, name, type, provider, region, labels, resources, networking, status, monitoring, "
                    "metadata, version, engine FROM infrastructure_nodes WHERE id = $1",
                    "t", id) < 0 ||
        rows_next(rows, NULL) != 1)
        return NULL;
    *ret_version = rows_int(rows, 11);
    return row_document(rows);
}

static json_t *number_or_null(double v)
{
    return v > 0 ? json_real(v) : json_null();
}

json_t *node_document_new(const char *name, const char *type, const char *provider)
{
    char id[ID_LEN + 1], at[TIME_TEXT_LEN + 1];
    (void)time_format(clock_now_ms(), at);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:n, s:{}, s:{s:n, s:n, s:n, s:n}, s:{s:n, s:n, s:[]}, s:s, s:{s:n, s:n, s:n},"
        " s:{s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n}, s:{s:s}}",
        "id", id_new(id), "name", name, "type", type, "provider", provider, "region", "labels", "resources", "cpu",
        "memory", "storage", "bandwidth", "networking", "tailscaleIP", "hostname", "addresses", "status", "offline",
        "monitoring", "datadogHost", "lastHealthCheck", "uptime", "metadata", "createdAt", at, "updatedAt", at,
        "lastSeen", "osVersion", "dockerVersion", "kernelVersion", "architecture", "engineName", "engineVersion",
        "version", "engine", "kind", "none");
}

void node_put_time(json_t *d, const char *path, int64_t ms)
{
    char text[TIME_TEXT_LEN + 1];
    (void)json_put(d, path, json_string(time_format(ms, text)));
}

/* Time in which nobody looked counts neither way, but a boot after the last sighting shows that the machine
 * was down from about then until the boot. */
static void observe_boot(json_t *d, int64_t boot_ms, int64_t now)
{
    int64_t last = 0, old_boot = json_int(d, NODE_BOOT, 0);
    if (json_str(d, "metadata.lastSeen") && time_parse(json_str(d, "metadata.lastSeen"), &last) == 0) {
        int64_t observed = json_int(d, NODE_OBSERVED, 0), answered = json_int(d, NODE_ANSWERED, 0);
        bool rebooted = old_boot && llabs(boot_ms - old_boot) > 60000 && boot_ms > last;
        observed += rebooted ? boot_ms - last : now - last;
        answered += rebooted ? 0 : now - last;
        (void)json_put(d, NODE_OBSERVED, json_integer(observed));
        (void)json_put(d, NODE_ANSWERED, json_integer(answered));
    }
    (void)json_put(d, NODE_BOOT, json_integer(boot_ms));
}

static void fill_host(struct runtime *r, json_t *d, const struct host_facts *f)
{
    (void)json_put(d, "resources.cpu", json_integer(f->cpu_count));
    (void)json_put(d, "resources.memory", number_or_null(f->memory_gb));
    (void)json_put(d, "resources.storage", number_or_null(f->storage_gb));
    (void)json_put(d, "networking.hostname", json_string(f->hostname));
    json_t *addresses = json_array();
    for (size_t i = 0; i < f->address_count; i++)
        (void)json_array_append_new(addresses, json_string(f->addresses[i]));
    (void)json_put(d, "networking.addresses", addresses);
    (void)json_put(d, "metadata.osVersion", json_string(f->os_name));
    (void)json_put(d, "metadata.kernelVersion", json_string(f->kernel));
    (void)json_put(d, "metadata.architecture", json_string(f->architecture));
    (void)json_put(d, "metadata.version", json_string(r->version));
    (void)json_put(d, "engine", json_pack("{s:s}", "kind", r->engine ? "local" : "none"));
}

void node_mark_seen(json_t *d, int64_t now)
{
    int64_t observed = json_int(d, NODE_OBSERVED, 0), answered = json_int(d, NODE_ANSWERED, 0);
    node_put_time(d, "metadata.lastSeen", now);
    node_put_time(d, "monitoring.lastHealthCheck", now);
    double uptime = observed > 0 ? 100.0 * (double)answered / (double)observed : 100.0;
    (void)json_put(d, "monitoring.uptime", json_real((double)(int64_t)(uptime * 100) / 100));
}

int nodes_ensure_hub(struct runtime *r, struct error *e)
{
    struct host_facts f;
    int64_t version = 0, now = clock_now_ms();
    int res = host_facts_read(&f, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *d = r->hub_id[0] ? node_stored_document(r, r->hub_id, &version) : NULL;
    bool created = !d;
    if (!d)
        d = node_document_new(f.hostname[0] ? f.hostname : "hub", "hub", "local");
    if (!d)
        return error_set(e, ERR_INTERNAL, "No memory.");
    str_copy(r->hub_id, sizeof r->hub_id, json_str(d, "id"));
    fill_host(r, d, &f);
    observe_boot(d, f.boot_ms, now);
    node_mark_seen(d, now);
    if (!str_eq(json_str(d, "status"), "maintenance"))
        (void)json_put(d, "status", json_string("active"));
    node_put_time(d, "metadata.updatedAt", now);
    r->hub_written_ms = now;
    return node_save(r, d, version + 1, true, created ? "node.created" : "node.updated", NULL, e);
}

void runtime_hub_seen(struct runtime *r, int64_t at_ms)
{
    int64_t version = 0, last = 0;
    (void)pthread_mutex_lock(&r->write_lock);
    bool write = at_ms - r->hub_written_ms >= HEARTBEAT_WRITE_MS;
    _cleanup_entity_ struct entity *x = table_get(r->nodes, r->hub_id);
    _cleanup_json_ json_t *d = write ? node_stored_document(r, r->hub_id, &version) : x ? entity_document(x) : NULL;
    if (d && x) {
        if (write && json_str(d, "metadata.lastSeen") && time_parse(json_str(d, "metadata.lastSeen"), &last) == 0 &&
            at_ms > last) {
            (void)json_put(d, NODE_OBSERVED, json_integer(json_int(d, NODE_OBSERVED, 0) + at_ms - last));
            (void)json_put(d, NODE_ANSWERED, json_integer(json_int(d, NODE_ANSWERED, 0) + at_ms - last));
        }
        if (write)
            node_mark_seen(d, at_ms), r->hub_written_ms = at_ms;
        else
            node_put_time(d, "metadata.lastSeen", at_ms), node_put_time(d, "monitoring.lastHealthCheck", at_ms);
        struct error e = ERROR_INIT;
        /* The tag stays: a heartbeat is no change that an owner's If-Match should stumble over. */
        if (node_save(r, d, x->version, write, "node.updated", NULL, &e) < 0)
            log_warn("The hub's heartbeat was not recorded: %s", e.message);
        error_done(&e);
    }
    (void)pthread_mutex_unlock(&r->write_lock);
}

const char *runtime_hub_node(const struct runtime *r)
{
    return r->hub_id;
}

int runtime_node(struct runtime *r, const char *id_or_name, struct entity **ret, struct error *e)
{
    struct entity *x = table_get(r->nodes, id_or_name);
    if (!x)
        return error_set(e, ERR_NOT_FOUND, "There is no node %.100s.", id_or_name);
    *ret = x;
    return 0;
}

size_t runtime_node_count(struct runtime *r)
{
    return table_size(r->nodes);
}
