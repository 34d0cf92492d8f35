#include "deployment/plan.h"

#include <stdio.h>

/* Rules that a schema cannot say. */

static int bad(struct error *e, const char *pointer, const char *why, const char *sentence)
{
    (void)error_set(e, ERR_VALIDATION, "%s", sentence);
    error_detail(e, pointer, "%s", why);
    return -ERR_VALIDATION;
}

/* ---- what needs the role admin ---- */

/* Without "//", "/./" and "/../". */
static void path_plain(const char *path, char *ret, size_t size)
{
    size_t n = 0;
    ret[0] = '\0';
    while (*path) {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        if (len == 2 && path[0] == '.' && path[1] == '.') {
            while (n && ret[--n] != '/')
                ;
        } else if (len && !(len == 1 && path[0] == '.') && n + len + 2 < size) {
            ret[n++] = '/';
            memcpy(ret + n, path, len);
            n += len;
        }
        ret[n] = '\0';
        path += len;
    }
    if (!n)
        str_copy(ret, size, "/");
}

/* Who has the engine's socket, or a folder that holds it, is root on the node. */
static bool reaches_engine(const char *source)
{
    static const char *const holders[] = { "/",          "/var", "/var/run", "/run", "/run/docker", "/run/containerd",
                                           "/run/podman" };
    static const char *const sockets[] = { "docker.sock", "containerd.sock", "podman.sock", "crio.sock" };
    char plain[4200];
    if (!source || source[0] != '/')
        return false;
    path_plain(source, plain, sizeof plain);
    for (size_t i = 0; i < ARRAY_LEN(holders); i++)
        if (str_eq(plain, holders[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(sockets); i++)
        if (strstr(plain, sockets[i]))
            return true;
    return false;
}

static bool plain_security(const char *option)
{
    return str_eq(option, "no-new-privileges") || str_eq(option, "no-new-privileges:true") ||
           str_eq(option, "no-new-privileges=true");
}

/* What the service has already may stay: an operator may change the rest of it. */
static bool had(const json_t *old, const char *list, const json_t *item)
{
    size_t i;
    json_t *x;
    json_array_foreach (json_at(old, list), i, x)
        if (json_equal(x, (json_t *)item))
            return true;
    return false;
}

struct needs {
    struct error *e;
    size_t n;
};

static void need(struct needs *n, const char *pointer, const char *why)
{
    if (n->n++ == 0)
        (void)error_set(n->e, ERR_FORBIDDEN,
                        "The role admin is needed for a service that reaches beyond its container.");
    error_detail(n->e, pointer, "%s", why);
}

static void check_host_words(const json_t *request, const json_t *old, struct needs *n)
{
    static const struct {
        const char *path, *pointer, *why;
    } words[] = {
        { "container.networkMode", "/container/networkMode", "the node's network needs the role admin" },
        { "container.pidMode", "/container/pidMode", "the node's processes need the role admin" },
        { "container.ipcMode", "/container/ipcMode", "the node's shared memory needs the role admin" },
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(json_str(request, words[i].path), "host") && !str_eq(json_str(old, words[i].path), "host"))
            need(n, words[i].pointer, words[i].why);
    if (json_flag(request, "container.privileged", false) && !json_flag(old, "container.privileged", false))
        need(n, "/container/privileged", "a privileged container needs the role admin");
}

static void check_lists(const json_t *request, const json_t *old, struct needs *n)
{
    static const char *const lists[] = { "capAdd", "devices", "securityOpt", "ports", "volumes" };
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        size_t i;
        json_t *x;
        char path[64], pointer[64];
        (void)snprintf(path, sizeof path, "container.%s", lists[k]);
        json_array_foreach (json_at(request, path), i, x) {
            if (had(old, path, x))
                continue;
            (void)snprintf(pointer, sizeof pointer, "/container/%s/%zu", lists[k], i);
            if (str_eq(lists[k], "capAdd"))
                need(n, pointer, "a capability needs the role admin");
            else if (str_eq(lists[k], "devices"))
                need(n, pointer, "a device of the node needs the role admin");
            else if (str_eq(lists[k], "securityOpt") && !plain_security(json_string_value(x)))
                need(n, pointer, "this option needs the role admin");
            else if (str_eq(lists[k], "ports") && str_eq(json_str(x, "address"), "any"))
                need(n, pointer, "publishing on every address needs the role admin");
            else if (str_eq(lists[k], "volumes") && reaches_engine(json_str(x, "source")))
                need(n, pointer, "the container engine's socket, or a folder that holds it, needs the role admin");
        }
    }
}

static int check_role(const json_t *request, const json_t *old, bool admin, struct error *e)
{
    struct needs n = { e, 0 };
    if (admin)
        return 0;
    check_host_words(request, old, &n);
    check_lists(request, old, &n);
    return n.n ? -ERR_FORBIDDEN : 0;
}

/* ---- mounts, ports ---- */

/* The path in the container that the i-th of a list takes. */
static void target_of(const char *list, const json_t *x, char *ret, size_t size)
{
    const char *target = json_str(x, "target");
    if (target)
        str_copy(ret, size, target);
    else
        (void)snprintf(ret, size, "/run/secrets/%s", str_eq(list, "secrets") ? json_str(x, "source") : "");
}

static int check_targets(const json_t *request, struct error *e)
{
    static const char *const lists[] = { "volumes", "tmpfs", "secrets" };
    _cleanup_json_ json_t *seen = json_object();
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        size_t i;
        json_t *x;
        char path[64], pointer[64], target[4200];
        (void)snprintf(path, sizeof path, "container.%s", lists[k]);
        json_array_foreach (json_at(request, path), i, x) {
            target_of(lists[k], x, target, sizeof target);
            (void)snprintf(pointer, sizeof pointer, "/container/%s/%zu/target", lists[k], i);
            if (json_object_get(seen, target))
                return bad(e, pointer, "is the target of another mount", "Two mounts have the same target.");
            if (json_object_set_new(seen, target, json_true()) < 0)
                return error_set(e, ERR_INTERNAL, "No memory.");
        }
    }
    return 0;
}

static bool same_port(const json_t *a, const json_t *b)
{
    const char *pa = json_str(a, "protocol"), *pb = json_str(b, "protocol");
    bool same_host = json_int(a, "host", 0) && json_int(a, "host", 0) == json_int(b, "host", 0);
    bool same = json_int(a, "container", 0) == json_int(b, "container", 0);
    return (same_host || same) && str_eq(pa ? pa : "tcp", pb ? pb : "tcp");
}

static int check_ports(const json_t *request, struct error *e)
{
    size_t i, k;
    json_t *a, *list = json_at(request, "container.ports");
    char pointer[64];
    json_array_foreach (list, i, a)
        for (k = i + 1; k < json_array_size(list); k++) {
            if (!same_port(a, json_array_get(list, k)))
                continue;
            (void)snprintf(pointer, sizeof pointer, "/container/ports/%zu", k);
            return bad(e, pointer, "names a port that another entry names", "A port is named twice.");
        }
    return 0;
}

/* ---- what does not go together ---- */

static int check_instances(const json_t *request, struct error *e)
{
    if (json_int(request, "instances", 1) < 2)
        return 0;
    if (str_eq(json_str(request, "lifecycle"), "job"))
        return bad(e, "/instances", "must be 1 for a job", "A job runs once: it has one instance.");
    if (json_str(request, "container.name"))
        return bad(e, "/instances", "must be 1 with a fixed container name",
                   "A fixed container name can be had by one container only.");
    if (strategy_fixed_port(request) && !json_object_size(json_at(request, "placement")))
        return bad(e, "/instances", "must be 1 with a fixed host port, or a placement over several nodes",
                   "A fixed host port can be had by one container of a node only.");
    return 0;
}

static int check_networking(const json_t *request, struct error *e)
{
    bool port = json_int(request, "networking.internalPort", 0) > 0;
    if (!port && json_array_size(json_at(request, "networking.domains")))
        return bad(e, "/networking/internalPort", "is needed with domains", "A domain leads to the internal port.");
    if (!port && json_str(request, "networking.healthCheck.path"))
        return bad(e, "/networking/internalPort", "is needed with a health check by path",
                   "A health check by path asks the internal port.");
    const char *mode = json_str(request, "container.networkMode");
    bool own = !mode || str_eq(mode, "bridge");
    if (!own && json_array_size(json_at(request, "container.networks")))
        return bad(e, "/container/networks", "cannot be had with this networkMode",
                   "A container without a network of its own joins none.");
    if (str_eq(mode, "none") && (json_array_size(json_at(request, "container.ports")) || port))
        return bad(e, "/container/networkMode", "leaves no port to reach",
                   "A container without any network publishes no ports.");
    return 0;
}

static int check_dependencies(struct deployments *d, const json_t *request, struct error *e)
{
    size_t i;
    json_t *x;
    char pointer[64];
    json_array_foreach (json_at(request, "dependsOn"), i, x) {
        _cleanup_entity_ struct entity *found = NULL;
        const char *name = json_str(x, "service");
        (void)snprintf(pointer, sizeof pointer, "/dependsOn/%zu/service", i);
        if (str_eq(name, json_str(request, "name")))
            return bad(e, pointer, "is the service itself", "A service cannot wait for itself.");
        if (runtime_service(d->runtime, name, &found, NULL) < 0)
            return bad(e, pointer, "names no service", "A service that another waits for must be deployed before.");
    }
    return 0;
}

static int check_placement(struct deployments *d, const json_t *request, struct error *e)
{
    size_t i;
    json_t *x;
    char pointer[64];
    json_array_foreach (json_at(request, "placement.nodes"), i, x) {
        _cleanup_entity_ struct entity *node = NULL;
        if (runtime_node(d->runtime, json_string_value(x), &node, NULL) == 0)
            continue;
        (void)snprintf(pointer, sizeof pointer, "/placement/nodes/%zu", i);
        return bad(e, pointer, "names no node", "A node to be placed on does not exist.");
    }
    return 0;
}

int rules_check(struct deployments *d, const json_t *request, const json_t *old, bool admin, struct error *e)
{
    int r = check_role(request, old, admin, e);
    if (r == 0)
        r = check_targets(request, e);
    if (r == 0)
        r = check_ports(request, e);
    if (r == 0)
        r = check_instances(request, e);
    if (r == 0)
        r = check_networking(request, e);
    if (r == 0)
        r = check_dependencies(d, request, e);
    return r == 0 ? check_placement(d, request, e) : r;
}
