/* What the rooms need of a container engine, whoever makes it. Implementations live in integrations/.
 * Ownership: an engine is shared; all calls are thread-safe and blocking, each with its own deadline.
 * Returned structs own their members: `*_done` frees. Sizes are bytes, times ms since 1970 (0: unknown).
 * Errors: ERR_UNAVAILABLE (not reachable), ERR_NOT_FOUND, ERR_CONFLICT (name or port taken),
 * ERR_UPSTREAM (refused; the engine's own words), ERR_UPSTREAM_TIMEOUT. */
#ifndef HB_ENGINE_H
#define HB_ENGINE_H

#include "base/error.h"
#include "base/secret.h"

struct engine_info {
    char kind[16];            /* "docker", "podman" by its own words */
    char version[32], api_version[16], api_min[16], api_used[16];
    char os[64], architecture[16];
    int cgroup_version;       /* 1, 2 or 0 unknown */
    int64_t memory_total;     /* bytes of its host, 0 unknown */
    int cpus;                 /* 0 unknown */
    char root_directory[512]; /* where it keeps its data, on its host; "" unknown */
    bool rootless, swarm_active;
};

struct engine_port {
    uint16_t container, host; /* host 0: any free one (spec) or not published (container) */
    char protocol[4];         /* "tcp" "udp" */
    char host_ip[46];         /* spec: "" means 127.0.0.1 */
};

struct engine_mount {
    char *kind;               /* "volume" "bind" "tmpfs" */
    char *source;             /* volume name or host path */
    char *target;
    bool readonly;
};

enum engine_health { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

struct engine_container {
    char id[65];
    char *name;               /* without the leading slash */
    char *image;              /* as it was asked for */
    char *image_id;           /* sha256:… of the local image */
    char *command;            /* for people */
    char *state;              /* created running paused restarting removing exited dead */
    enum engine_health health;
    char *health_output;      /* last probe's output, cut at 4 KiB; NULL (inspect only) */
    int exit_code;
    bool oom_killed, tty;     /* inspect only */
    char *error;              /* engine's reason of a failed start; NULL (inspect only) */
    int64_t created_ms, started_ms, finished_ms;
    int restart_count;        /* inspect only, -1 unknown */
    int64_t memory_limit;     /* bytes, 0 none (inspect only) */
    double cpu_limit;         /* cores, 0 none (inspect only) */
    json_t *labels;           /* object of strings */
    json_t *environment_keys; /* array of names, never values (inspect only) */
    struct engine_port *ports;
    size_t port_count;
    struct engine_mount *mounts;
    size_t mount_count;
    char ip[46];              /* on its first network, "" none */
};
void engine_container_done(struct engine_container *c);
void engine_containers_free(struct engine_container *list, size_t n);

struct engine_spec {
    const char *name, *image; /* image: name:tag, name@digest or image id */
    const char **command, **entrypoint; /* NULL-terminated; NULL: the image's */
    const json_t *environment; /* object string -> string; values are secrets */
    const json_t *labels;
    const struct engine_port *ports;
    size_t port_count;
    const struct engine_mount *mounts;
    size_t mount_count;
    double cpu_limit;         /* cores; 0 none */
    int64_t memory_limit;     /* bytes; 0 none */
    const char *restart_policy; /* "no" "unless-stopped" "on-failure" "always" */
    int stop_grace_s;
    const char **health_command; /* argv, NULL: the image's own or none */
    int64_t health_interval_ms, health_timeout_ms, health_start_ms;
    int health_retries;
    /* What an owner may ask for beyond the standards. NULL, 0 or false: the engine's default. */
    const char *user, *working_directory, *hostname, *stop_signal;
    const char *network;      /* the first one, by name; others are joined before the start */
    const json_t *networks;   /* array of {name, aliases: [..]}; the first is `network` */
    const json_t *extra_hosts, *dns, *capabilities_added, *capabilities_dropped,
        *security_options; /* arrays of strings */
    const json_t *devices;    /* array of {source, target, permissions} */
    const json_t *sysctls;    /* object of strings */
    const json_t *ulimits;    /* array of {name, soft, hard} */
    const char *network_mode, *pid_mode, *ipc_mode; /* "host" and the like */
    int64_t shm_size;         /* bytes */
    int64_t pids_limit;       /* 0 none */
    int gpus;                 /* -1 all, 0 none */
    bool privileged, read_only_root, init, tty, stdin_open;
};

struct engine_credentials {   /* of a registry */
    const char *username, *registry;
    const struct secret *password;
};

struct engine_volume {
    char *name;
    char *driver;
    json_t *labels;
    char *mountpoint;         /* on the engine's host; NULL unknown */
};

struct engine_network {
    char *id, *name, *driver;
    bool internal;
    json_t *labels;
};
void engine_volumes_free(struct engine_volume *list, size_t n);
void engine_networks_free(struct engine_network *list, size_t n);

struct engine_image {
    char *id;                 /* sha256:… */
    json_t *digests;          /* array "repo@sha256:…": any of them counts (O04) */
    char architecture[16], os[16];
    int64_t size;
    json_t *exposed_ports;    /* array "80/tcp" */
    bool has_health_check;
};
void engine_image_done(struct engine_image *i);

struct engine_stats {         /* counters since the container's start */
    int64_t read_ms;
    double cpu_seconds;       /* total */
    double cpu_limit_cores;   /* online CPUs of the host */
    int64_t memory_used;      /* usage minus inactive file pages, by cgroup version, never negative (O03) */
    int64_t memory_limit;
    int64_t network_receive, network_transmit, io_read, io_write;
    int64_t pids;
};

struct engine_progress {      /* of a pull, over all layers */
    int64_t bytes_done, bytes_total; /* total 0: not known yet */
    unsigned layers_done, layers_total;
    const char *status;       /* the engine's words for the layer that moved */
};

struct engine_event {
    int64_t at_ms;            /* nanosecond precision is cut; resume with overlap */
    char type[16], action[64]; /* "container" "start" … */
    char id[65];
    char name[128];
};

struct engine_log_request {
    unsigned tail;            /* last lines; 0: all */
    int64_t since_ms;         /* 0: from the start */
    bool want_stdout, want_stderr, timestamps, follow;
};
enum engine_stream { STREAM_STDOUT = 1, STREAM_STDERR = 2 };

/* Callbacks return 0 to go on, negative to stop the call (which then returns that). */
typedef int (*engine_log_fn)(void *ctx, enum engine_stream stream, const char *bytes, size_t len);
typedef int (*engine_progress_fn)(void *ctx, const struct engine_progress *p);
typedef int (*engine_archive_fn)(void *ctx, const void *bytes, size_t len);
typedef int (*engine_event_fn)(void *ctx, const struct engine_event *ev);

struct container_engine;
struct engine_ops {
    /* An operation that a driver does not have is NULL; only those after `pull` may be. */
    int (*info)(struct container_engine *g, struct engine_info *ret, struct error *e);
    int (*list)(struct container_engine *g, struct engine_container **ret, size_t *ret_n, struct error *e);
    int (*inspect)(struct container_engine *g, const char *id, struct engine_container *ret, struct error *e);
    /* Environment of a container, object key -> value; the values are secrets. New reference. */
    int (*environment)(struct container_engine *g, const char *id, json_t **ret, struct error *e);
    int (*create)(struct container_engine *g, const struct engine_spec *spec, char ret_id[65], struct error *e);
    int (*start)(struct container_engine *g, const char *id, struct error *e);   /* started already: 0 */
    int (*stop)(struct container_engine *g, const char *id, int grace_s, struct error *e); /* stopped already: 0 */
    int (*restart)(struct container_engine *g, const char *id, int grace_s, struct error *e);
    int (*remove)(struct container_engine *g, const char *id, bool force,
                  struct error *e); /* volumes stay; gone already: 0 */
    int (*rename)(struct container_engine *g, const char *id, const char *name, struct error *e);
    int (*logs)(struct container_engine *g, const char *id, const struct engine_log_request *rq, engine_log_fn fn,
                void *ctx, struct error *e);
    int (*stats)(struct container_engine *g, const char *id, struct engine_stats *ret, struct error *e);
    int (*image)(struct container_engine *g, const char *reference, struct engine_image *ret, struct error *e);
    /* `credentials` may be NULL: an anonymous pull. */
    int (*pull)(struct container_engine *g, const char *reference, const struct engine_credentials *credentials,
                engine_progress_fn fn, void *ctx, struct error *e);
    int (*image_tag)(struct container_engine *g, const char *id, const char *repository, const char *tag,
                     struct error *e);
    int (*image_remove)(struct container_engine *g, const char *reference,
                        struct error *e); /* a tag or an id; gone: 0 */
    int (*volume_ensure)(struct container_engine *g, const char *name, const json_t *labels, struct error *e);
    int (*volume_remove)(struct container_engine *g, const char *name, struct error *e);
    int (*volumes)(struct container_engine *g, struct engine_volume **ret, size_t *ret_n, struct error *e);
    int (*network_ensure)(struct container_engine *g, const char *name, bool internal, const json_t *labels,
                          struct error *e);
    int (*network_remove)(struct container_engine *g, const char *name, struct error *e); /* gone: 0 */
    int (*networks)(struct container_engine *g, struct engine_network **ret, size_t *ret_n, struct error *e);
    /* Writes one file into a container that was created (running or not). */
    int (*put_file)(struct container_engine *g, const char *id, const char *path, unsigned mode, const void *bytes,
                    size_t len, struct error *e);
    /* A tar of a path in a container, in pieces, to `fn`. */
    int (*get_archive)(struct container_engine *g, const char *id, const char *path, engine_archive_fn fn, void *ctx,
                       struct error *e);
    /* Container events from `since_ms` on; blocks until the stream ends (0 or error) or fn stops it; checks
     * `*stop` at least each 500 ms. */
    int (*follow)(struct container_engine *g, int64_t since_ms, engine_event_fn fn, void *ctx, const _Atomic bool *stop,
                  struct error *e);
    void (*free)(struct container_engine *g);
};
struct container_engine { /* embedded first in the implementation's struct */
    const struct engine_ops *ops;
};

#endif
