/* The command table. */
#include "cli/cli_internal.h"

#define ROLES "viewer operator admin"
#define PROVIDERS "hetzner digitalocean azure local other"
#define NODE_TYPES "hub spoke experimentation"
#define SERVICE_TYPES "web api database cache monitoring utility"
#define ENVIRONMENTS "development staging production"
#define TIME_HELP "a time (RFC 3339), or a duration such as 2h for two hours ago."

#define END { .name = NULL }
#define TEXT(n, v, h) { .name = n, .value = v, .help = h }
#define MANY(n, v, h) { .name = n, .value = v, .help = h, .repeat = true }
#define NUMBER(n, v, h) { .name = n, .value = v, .kind = WORD_NUMBER, .help = h }
#define CHOICE(n, c, h) { .name = n, .value = "WORD", .kind = WORD_CHOICE, .choices = c, .help = h }
#define KIND(n, v, k, h) { .name = n, .value = v, .kind = k, .help = h }
#define SWITCH(n, h) { .name = n, .help = h }

static const struct cli_option nodes_list_options[] = {
    CHOICE("provider", PROVIDERS, "Only nodes of this provider."),
    CHOICE("type", NODE_TYPES, "Only nodes of this type."),
    CHOICE("status", "active maintenance degraded offline", "Only nodes in this state."),
    MANY("label", "KEY=VALUE", "Only nodes that carry this label."),
    END,
};

#define NODE_FACTS                                                                                                     \
    TEXT("region", "REGION", "The provider's word for the place."), NUMBER("cpu", "N", "Virtual CPUs."),               \
        NUMBER("memory", "GB", "Memory."), NUMBER("storage", "GB", "Disk."),                                           \
        NUMBER("bandwidth", "GB", "Traffic a month."), TEXT("hostname", "NAME", "Its host name."),                     \
        TEXT("engine", "URL",                                                                                          \
             "Its container engine: ssh://user@host, tcp://host:port, unix:///path, https://portainer, or none."),     \
        CHOICE("engine-kind", "local ssh tls portainer none", "How it is reached; by the URL when not said."),         \
        TEXT("engine-key", "SOURCE", "The private key or access token: secret:NAME, or a file on the hub's machine."), \
        TEXT("engine-certificate", "SOURCE", "The client's certificate (tls)."),                                       \
        TEXT("engine-authority", "SOURCE", "What signed the engine's certificate (tls)."),                             \
        TEXT("engine-fingerprint", "SHA256:HASH", "The SSH host key's fingerprint."),                                  \
        NUMBER("engine-endpoint", "N", "The endpoint's number (portainer)."),                                          \
        TEXT("public-ip", "ADDRESS", "Its public address."), TEXT("mesh-ip", "ADDRESS", "Its address in the mesh.")

static const struct cli_option nodes_add_options[] = {
    CHOICE("type", NODE_TYPES, "Its part in the cloud; spoke when not said."),
    CHOICE("provider", PROVIDERS, "Whose machine it is; other when not said."),
    NODE_FACTS,
    MANY("label", "KEY=VALUE", "A label to set."),
    SWITCH("unchecked", "Do not ask the container engine first."),
    END,
};
static const struct cli_option nodes_update_options[] = {
    TEXT("name", "NAME", "A new name."),
    CHOICE("type", NODE_TYPES, "Its part in the cloud."),
    CHOICE("status", "active maintenance", "maintenance: nothing new is placed there."),
    NODE_FACTS,
    END,
};

static const struct cli_option services_list_options[] = {
    KIND("node", "NODE", WORD_NODE, "Only services on this node."),
    CHOICE("type", SERVICE_TYPES, "Only services of this type."),
    CHOICE("status", "deploying running stopped failed updating", "Only services in this state."),
    CHOICE("health", "healthy unhealthy unknown", "Only services of this health."),
    TEXT("search", "TEXT", "Only services whose name, image or domain contains this."),
    KIND("service", "SERVICE", WORD_SERVICE, "Only the instances of this service."),
    SWITCH("managed", "Only services that hbcloud manages."),
    SWITCH("unmanaged", "Only containers that it does not manage."),
    END,
};
#define PLAN_OPTION SWITCH("plan", "Only show what would change, what would restart and what that costs.")
#define FOLLOW_OPTIONS                                            \
    SWITCH("no-wait", "Return once the deployment has started."), \
        KIND("timeout", "DURATION", WORD_DURATION,                \
             "Wait at most this long (15m when not said); the deployment goes on.")
static const struct cli_option deploy_options[] = {
    { .name = "file",
      .letter = 'f',
      .value = "FILE",
      .kind = WORD_FILE,
      .help = "The service's YAML (or JSON) file; - reads standard input." },
    TEXT("image", "IMAGE", "The image, with a tag or digest if wanted."),
    NUMBER("port", "PORT", "The port on which the container serves."),
    KIND("node", "NODE", WORD_NODE, "Where it runs; the hub's node when not said."),
    CHOICE("type", SERVICE_TYPES, "What kind of service it is."),
    CHOICE("environment", ENVIRONMENTS, "Which environment it belongs to."),
    { .name = "env",
      .letter = 'e',
      .value = "KEY=VALUE",
      .repeat = true,
      .help = "An environment variable; KEY alone takes the value from yours, KEY- removes it." },
    MANY("volume", "SOURCE:TARGET[:ro]", "A volume's name or a path on the node, and where it is mounted."),
    MANY("domain", "DOMAIN", "A domain it answers to."),
    TEXT("health-path", "PATH", "An HTTP path that must answer 200 to 399."),
    NUMBER("cpu", "CORES", "The most CPU it may use."),
    NUMBER("memory", "MB", "The most memory it may use."),
    MANY("label", "KEY=VALUE", "A label to set."),
    TEXT("version", "VERSION", "What is being deployed; the image's tag when not said."),
    NUMBER("instances", "N", "How many containers of it run."),
    CHOICE("strategy", "blue-green rolling recreate", "How the new release takes the old one's place."),
    CHOICE("trigger", "github_actions travis_ci manual", "What started this; in CI known by itself."),
    TEXT("pipeline", "NAME", "The workflow or job that deploys; in CI known by itself."),
    TEXT("initiated-by", "NAME", "Who deploys; in CI known by itself, else the key's name."),
    TEXT("git-repository", "OWNER/NAME", "Where it was built from; in CI known by itself."),
    TEXT("git-branch", "BRANCH", "Its branch; in CI known by itself."),
    TEXT("git-commit", "HASH", "Its commit; in CI known by itself."),
    TEXT("git-message", "TEXT", "The commit's message."),
    TEXT("git-author", "NAME", "The commit's author."),
    TEXT("idempotency-key", "KEY",
         "Deploy once under this key; in CI made of the run, its attempt, service and image."),
    FOLLOW_OPTIONS,
    PLAN_OPTION,
    END,
};
static const struct cli_option plan_only_options[] = { PLAN_OPTION, END };
static const struct cli_option scale_options[] = { FOLLOW_OPTIONS, PLAN_OPTION, END };
static const struct cli_option rollback_options[] = {
    NUMBER("release", "N", "The release; the one that served before the current one when not said."),
    FOLLOW_OPTIONS,
    PLAN_OPTION,
    END,
};
static const struct cli_option health_check_options[] = {
    SWITCH("wait", "Ask again until it is healthy."),
    KIND("timeout", "DURATION", WORD_DURATION, "With --wait, at most this long (5m when not said)."),
    END,
};
static const struct cli_option remove_service_options[] = {
    PLAN_OPTION,
    MANY("volume", "NAME", "A named volume to remove with it, leaving a snapshot; none is removed otherwise."),
    SWITCH("abandon", "Give up instances whose node is lost."),
    SWITCH("no-snapshot", "Keep no snapshot of the named volumes: their data is gone."),
    END,
};
static const struct cli_option logs_options[] = {
    { .name = "follow", .letter = 'f', .help = "Go on with what is written from now on, until ctrl-C." },
    { .name = "tail",
      .letter = 'n',
      .value = "N",
      .kind = WORD_NUMBER,
      .help = "At most this many of the last lines (200 when not said)." },
    TEXT("since", "TIME", "Only what was written since " TIME_HELP),
    CHOICE("stream", "stdout stderr all", "Only this stream."),
    { .name = "timestamps", .letter = 't', .help = "Begin each line with its time." },
    END,
};

#define COMPOSE_OPTIONS                                                   \
    MANY("profile", "NAME", "A profile whose services count."),           \
        { .name = "env-file",                                             \
          .value = "FILE",                                                \
          .kind = WORD_FILE,                                              \
          .repeat = true,                                                 \
          .help = "Variables, in place of .env beside the first file." }, \
        TEXT("project", "NAME", "The project's name; the file's or the directory's when not said.")
static const struct cli_option compose_config_options[] = { COMPOSE_OPTIONS, END };
static const struct cli_option compose_import_options[] = {
    COMPOSE_OPTIONS,
    TEXT("prefix", "TEXT", "What the services' names begin with; the project's name when not said, none when empty."),
    MANY("domain", "SERVICE=DOMAIN", "A domain that a service answers to; Compose has no word for it."),
    KIND("node", "NODE", WORD_NODE, "Where they run; the hub's node when not said."),
    CHOICE("environment", ENVIRONMENTS, "Which environment they belong to."),
    SWITCH("plan", "Print the services and remarks as JSON, and do nothing."),
    KIND("timeout", "DURATION", WORD_DURATION, "Wait at most this long for each service (15m when not said)."),
    END,
};

static const struct cli_option deployments_list_options[] = {
    KIND("service", "SERVICE", WORD_SERVICE, "Only deployments of this service."),
    CHOICE("state", "initiated building deploying testing completed failed rolled_back cancelled superseded",
           "Only deployments in this state."),
    CHOICE("environment", ENVIRONMENTS, "Only deployments to this environment."),
    CHOICE("trigger", "github_actions travis_ci manual rollback", "Only deployments started this way."),
    TEXT("from", "TIME", "Asked for since " TIME_HELP),
    TEXT("to", "TIME", "Asked for before " TIME_HELP),
    END,
};
static const struct cli_option watch_deployment_options[] = {
    KIND("timeout", "DURATION", WORD_DURATION, "Wait at most this long (15m when not said)."),
    END,
};

#define ENTITY_OPTIONS                                                            \
    KIND("node", "NODE", WORD_NODE, "Only series of this node."),                 \
        KIND("service", "SERVICE", WORD_SERVICE, "Only series of this service."), \
        TEXT("entity", "ID", "Only series of the entity of this id.")

static const struct cli_option metrics_list_options[] = {
    ENTITY_OPTIONS,
    CHOICE("entity-type", "node service container endpoint", "Only series of this kind of entity."),
    TEXT("name", "NAME", "Only series of this name."),
    TEXT("category", "CATEGORY", "Only series of this category, such as cpu or memory."),
    MANY("source", "SOURCE", "Only series of this source, such as host or agent."),
    CHOICE("range", "1h 24h 7d 30d", "How old a latest value may be (1h when not said)."),
    END,
};
static const struct cli_option metrics_query_options[] = {
    ENTITY_OPTIONS,
    TEXT("from", "TIME", "Start of the range: " TIME_HELP),
    TEXT("to", "TIME", "End of the range: " TIME_HELP),
    TEXT("step", "DURATION", "Between two points, such as 30s or 5m."),
    CHOICE("fn", "avg min max sum count last p95 rate", "What a point says of its samples (avg when not said)."),
    MANY("tag", "KEY=VALUE", "Only series with this tag."),
    END,
};
static const struct cli_option audit_list_options[] = {
    TEXT("actor", "ACTOR", "Only what this actor (id or name) did."),
    TEXT("operation", "OPERATION", "Only this operation, such as deployService."),
    TEXT("entity", "ID", "Only what was done to the entity of this id."),
    TEXT("from", "TIME", "Since " TIME_HELP),
    TEXT("to", "TIME", "Before " TIME_HELP),
    END,
};
static const struct cli_option create_key_options[] = {
    CHOICE("role", ROLES, "What it may do; viewer when not said."),
    TEXT("expires", "TIME",
         "When it ends: a time (RFC 3339), or a duration from now such as 90d. Never when not said."),
    END,
};
static const struct cli_option token_options[] = {
    CHOICE("role", ROLES, "What it may do; the key's own role when not said."),
    KIND("expires", "DURATION", WORD_DURATION, "How long it is good: 1m to 1h; 15m when not said."),
    END,
};
static const struct cli_option volumes_list_options[] = {
    KIND("node", "NODE", WORD_NODE, "Only volumes of this node."),
    END,
};
static const struct cli_option remove_volume_options[] = {
    KIND("node", "NODE", WORD_NODE, "The node it is on; needed when several have one of this name."),
    SWITCH("no-snapshot", "Keep no snapshot: its data is gone."),
    SWITCH("no-wait", "Return once the job is made."),
    END,
};
static const struct cli_option snapshot_volume_options[] = {
    KIND("node", "NODE", WORD_NODE, "The node it is on; needed when several have one of this name."),
    SWITCH("no-wait", "Return once the job is made."),
    END,
};
static const struct cli_option snapshots_options[] = {
    TEXT("volume", "VOLUME", "Only snapshots of volumes of this name."),
    END,
};
static const struct cli_option jobs_list_options[] = {
    CHOICE("state", "waiting running done failed cancelled", "Only jobs in this state."),
    TEXT("kind", "KIND", "Only jobs of this kind."),
    END,
};
static const struct cli_option ci_runs_options[] = {
    TEXT("repository", "OWNER/NAME", "Only runs of this repository."),
    TEXT("branch", "BRANCH", "Only runs of this branch."),
    END,
};
static const struct cli_option ci_deliveries_options[] = {
    CHOICE("source", "github travis", "Only what this service sent."),
    CHOICE("verdict", "waiting tracked ignored failed", "Only those that became this."),
    END,
};
static const struct cli_option ci_rule_options[] = {
    TEXT("repository", "OWNER/NAME", "Runs of this repository are the service's."),
    TEXT("branch", "BRANCH", "Only runs of this branch; needed with --image."),
    TEXT("workflow", "NAME", "Only runs of the workflow of this name; builds of Travis CI have the name Travis CI."),
    TEXT("image", "IMAGE", "What a successful run deploys; {commit}, {shortCommit}, {branch}, {number} are filled in."),
    TEXT("pushed-image", "PATTERN", "Instead of --repository: each push of such an image deploys it; * is any text."),
    CHOICE("environment", ENVIRONMENTS, "The environment that the service must belong to; production when not said."),
    SWITCH("approval", "A person must approve each deployment."),
    MANY("check", "NAME", "A gate: this check, status, job or workflow must have ended in success."),
    MANY("at-least", "NAME=NUMBER", "A gate: this figure must be at least so large."),
    MANY("at-most", "NAME=NUMBER", "A gate: this figure must be at most so large."),
    NUMBER("gate-timeout", "SECONDS", "How long a deployment waits for its gates; 1800 when not said."),
    END,
};
static const struct cli_option ci_approvals_options[] = {
    CHOICE("state", "approval gates deploying requested refused rejected expired superseded",
           "Only those in this state."),
    KIND("service", "SERVICE", WORD_SERVICE, "Only for this service."),
    END,
};
static const struct cli_option ci_figure_options[] = {
    TEXT("repository", "OWNER/NAME", "The repository; in GitHub Actions and Travis CI the one that is built."),
    TEXT("commit", "HASH", "The whole hash; in GitHub Actions and Travis CI the commit that is built."),
    END,
};
static const struct cli_option set_secret_options[] = {
    KIND("from-file", "FILE", WORD_FILE, "Take the value from this file, byte for byte; - reads standard input."),
    END,
};
static const struct cli_option remove_secret_options[] = {
    NUMBER("version", "N", "Only this version."),
    END,
};
static const struct cli_option registry_login_options[] = {
    TEXT("username", "USER", "Who logs in there."),
    SWITCH("no-check", "Keep the login without asking the registry whether it takes it."),
    END,
};
static const struct cli_option events_options[] = {
    MANY("types", "TYPE", "Only events of this type, such as service.updated or deployment.*."),
    TEXT("since", "ID", "First what came after the event of this id."),
    END,
};
static const struct cli_option help_options[] = { SWITCH("markdown", "All commands as Markdown."), END };
/* The hub's own; they mirror the settings that have a flag. */
static const struct cli_option serve_options[] = {
    KIND("config", "FILE", WORD_FILE,
         "The YAML file of settings; else /etc/hbcloud/config.yaml, ~/.config/hbcloud/hub.yaml."),
    TEXT("listen", "ADDRESS:PORT", "Where it listens (127.0.0.1:3000 when not said)."),
    KIND("data", "DIR", WORD_FILE, "The folder of its data."),
    KIND("tls-certificate", "FILE", WORD_FILE, "Certificate chain (PEM)."),
    KIND("tls-key", "FILE", WORD_FILE, "Its private key (PEM)."),
    SWITCH("behind-proxy", "A proxy in front ends TLS, so a public address is allowed."),
    TEXT("trusted-proxies", "LIST", "Addresses and networks whose X-Forwarded-For counts."),
    TEXT("domain", "DOMAIN", "Pages on its subdomains may call the API."),
    CHOICE("log-level", "debug info warn error", "The least severe lines that are written."),
    CHOICE("log-format", "auto json human", "How lines are written."),
    MANY("set", "KEY=VALUE", "Any other setting by its key."),
    END,
};

#define NODE_WORD { .name = "NODE", .kind = WORD_NODE }
#define SERVICE_WORD { .name = "SERVICE", .kind = WORD_SERVICE }
#define DEPLOYMENT_WORD { .name = "DEPLOYMENT", .kind = WORD_DEPLOYMENT }
#define KEY_WORD { .name = "KEY", .kind = WORD_KEY }

const struct cli_command cli_commands[] = {
    { "serve", NULL, "Start the hub",
      .details =
          "Runs in the foreground until SIGTERM or ctrl-C. The first start makes the owner and prints a login link.",
      .flags = COMMAND_LOCAL, .options = serve_options },
    { "status", NULL, "What the hub sees, and what is wrong now", .flags = COMMAND_WATCH, .run = cli_status },

    { "nodes", "list", "List nodes", .flags = COMMAND_LIST, .options = nodes_list_options, .run = cli_nodes_list },
    { "nodes", "show", "Show one node", .flags = COMMAND_WATCH, .arguments = { NODE_WORD }, .run = cli_nodes_show },
    { "nodes", "add", "Make a node known",
      .details =
          "It is offline until something of it has been seen. A container engine is asked before the node is kept.",
      .arguments = { { .name = "NAME" } },
      .examples = "hbcloud nodes add attic --provider local --label room=attic\n"
                  "hbcloud nodes add cellar --engine ssh://deploy@cellar --engine-key "
                  "secret:cellar-key --engine-fingerprint SHA256:HASH",
      .options = nodes_add_options, .run = cli_nodes_add },
    { "nodes", "update", "Change a node", .arguments = { NODE_WORD }, .options = nodes_update_options,
      .examples = "hbcloud nodes update attic --status maintenance", .run = cli_nodes_update },
    { "nodes", "label", "Set and remove labels of a node",
      .arguments = { NODE_WORD, { .name = "LABEL", .repeat = true } },
      .details = "A LABEL is KEY=VALUE to set one, KEY- to remove one.",
      .examples = "hbcloud nodes label attic room=cellar shelf-", .run = cli_nodes_label },
    { "nodes", "remove", "Forget a node", .flags = COMMAND_ASKS, .arguments = { NODE_WORD },
      .details = "Refused while managed services live on it; containers that were merely seen there are forgotten.",
      .run = cli_nodes_remove },

    { "services", "list", "List services", .flags = COMMAND_LIST, .options = services_list_options,
      .run = cli_services_list },
    { "services", "show", "Show one service", .flags = COMMAND_WATCH, .arguments = { SERVICE_WORD },
      .run = cli_services_show },
    { "services", "deploy", "Deploy a service and wait until it serves",
      .arguments = { { .name = "NAME", .kind = WORD_SERVICE, .optional = true } }, .options = deploy_options,
      .details =
          "With --file, the file is the whole service: it is made, or changed to what the file says; variables, "
          "labels, domains, ports and volumes that the file no longer names go. With NAME and options, a service "
          "that exists keeps what is not named. Ends 0 only when the new release serves. While another deployment of the "
          "service runs it waits for its turn; a newer one takes its place. Within GitHub Actions and Travis CI the run, "
          "its commit and who started it are taken from their variables, and a step that runs again deploys once.",
      .examples = "hbcloud services deploy -f service.yaml\n"
                  "hbcloud services deploy hello --image nginx:1.27 --port 80 --health-path /\n"
                  "hbcloud services deploy hello --image ghcr.io/me/hello:$GITHUB_SHA",
      .run = cli_services_deploy },
    { "services", "plan", "Show what a deployment would change, without doing it",
      .arguments = { { .name = "NAME", .kind = WORD_SERVICE, .optional = true } }, .options = deploy_options,
      .details = "Takes what `services deploy` takes. Values of variables are masked.",
      .examples = "hbcloud services plan -f service.yaml", .run = cli_services_plan },
    { "services", "releases", "List a service's releases, newest first", .arguments = { SERVICE_WORD },
      .run = cli_services_releases },
    { "services", "rollback", "Deploy an earlier release again and wait until it serves", .arguments = { SERVICE_WORD },
      .options = rollback_options,
      .details = "The whole release returns: its image by digest, environment, ports, mounts, limits, routes. Refused "
                 "beforehand when its image or a secret's version is gone.",
      .examples = "hbcloud services rollback hello\nhbcloud services rollback hello --release 3 --plan",
      .run = cli_services_rollback },
    { "services", "scale", "Run so many instances of a service",
      .arguments = { SERVICE_WORD, { .name = "N", .kind = WORD_NUMBER } }, .options = scale_options,
      .details = "Instances that stay are not touched.", .examples = "hbcloud services scale hello 3",
      .run = cli_services_scale },
    { "services", "start", "Start a service", .arguments = { SERVICE_WORD }, .options = plan_only_options,
      .run = cli_services_start },
    { "services", "stop", "Stop a service; its containers stay", .arguments = { SERVICE_WORD },
      .options = plan_only_options, .run = cli_services_stop },
    { "services", "restart", "Stop and start a service", .arguments = { SERVICE_WORD }, .run = cli_services_restart },
    { "services", "repair", "Make a service as it was deployed", .arguments = { SERVICE_WORD },
      .details = "Routes are mended at once, containers by a deployment of the release that serves. What differs is in "
                 "`hbcloud services show NAME --json`, status.drift.",
      .run = cli_services_repair },
    { "services", "adopt", "Take a container into care", .arguments = { SERVICE_WORD },
      .details = "The container is not touched; from now on it can be changed and deployed like any other service.",
      .run = cli_services_adopt },
    { "services", "remove", "Remove a service and its container", .flags = COMMAND_ASKS, .arguments = { SERVICE_WORD },
      .details = "No volume is removed unless it is named. Its deployments stay on record.",
      .options = remove_service_options, .run = cli_services_remove },
    { "services", "logs", "Show what a service wrote", .arguments = { SERVICE_WORD }, .options = logs_options,
      .run = cli_services_logs },

    { "compose", "config", "Print a Compose project as it is understood", .flags = COMMAND_LOCAL,
      .arguments = { { .name = "FILE", .kind = WORD_FILE, .repeat = true } }, .options = compose_config_options,
      .details = "Variables put in, files included and extended, every field in one form. A later FILE stands over an "
                 "earlier one; - is standard input.",
      .run = cli_compose_config },
    { "compose", "import", "Deploy the services of a Compose project", .flags = COMMAND_ASKS,
      .arguments = { { .name = "FILE", .kind = WORD_FILE, .repeat = true } }, .options = compose_import_options,
      .details = "Each service becomes one here, behind what it depends on. Secrets and configs of files are kept as "
                 "secrets. What has no meaning here is named. A later FILE stands over an earlier one. A second import "
                 "changes what differs.",
      .examples = "hbcloud compose import docker-compose.yml --plan\n"
                  "hbcloud compose import docker-compose.yml --domain web=shop.example.org",
      .run = cli_compose_import },

    { "deployments", "list", "List deployments, newest first", .flags = COMMAND_LIST,
      .options = deployments_list_options, .run = cli_deployments_list },
    { "deployments", "show", "Show one deployment", .flags = COMMAND_WATCH, .arguments = { DEPLOYMENT_WORD },
      .run = cli_deployments_show },
    { "deployments", "watch", "Follow a deployment to its end", .arguments = { DEPLOYMENT_WORD },
      .options = watch_deployment_options, .details = "Ends 0 when it completed, 1 when it did not.",
      .run = cli_deployments_watch },
    { "deployments", "cancel", "Cancel a deployment that waits, or undo one that runs",
      .arguments = { DEPLOYMENT_WORD }, .details = "Refused from the switch to the new release on: roll back then.",
      .run = cli_deployments_cancel },

    { "health-check", NULL, "Whether a service is healthy, by exit status", .arguments = { SERVICE_WORD },
      .options = health_check_options,
      .details = "Ends 0 when all its instances run and are healthy, 1 when not, 5 when not within the time of --wait.",
      .examples = "hbcloud health-check hello --wait --timeout 2m", .run = cli_health_check },

    { "metrics", "list", "List latest values", .flags = COMMAND_LIST, .options = metrics_list_options,
      .run = cli_metrics_list },
    { "metrics", "query", "Show values over time", .flags = COMMAND_WATCH, .arguments = { { .name = "NAME" } },
      .options = metrics_query_options, .examples = "hbcloud metrics query cpu.usage.percent --node attic --from 6h",
      .run = cli_metrics_query },

    { "audit", "list", "Who changed what, newest first", .flags = COMMAND_LIST, .options = audit_list_options,
      .run = cli_audit_list },
    { "audit", "verify", "Check the audit's chain of hashes", .details = "Ends 1 when an entry is wrong.",
      .run = cli_audit_verify },

    { "keys", "list", "List API keys", .flags = COMMAND_LIST, .run = cli_keys_list },
    { "keys", "create", "Make an API key", .arguments = { { .name = "NAME" } }, .options = create_key_options,
      .details = "The secret is printed once, alone on standard output, and can never be shown again.",
      .examples = "hbcloud keys create laptop --role operator --expires 90d", .run = cli_keys_create },
    { "keys", "show", "Show one API key", .arguments = { KEY_WORD }, .run = cli_keys_show },
    { "keys", "revoke", "Revoke an API key", .flags = COMMAND_ASKS, .arguments = { KEY_WORD },
      .details = "Its sessions and tokens end with it.", .run = cli_keys_revoke },

    { "volumes", "list", "List volumes, and who uses them", .flags = COMMAND_WATCH, .options = volumes_list_options,
      .run = cli_volumes_list },
    { "volumes", "remove", "Remove a volume, keeping a snapshot", .flags = COMMAND_ASKS,
      .arguments = { { .name = "VOLUME" } }, .options = remove_volume_options,
      .details = "Refused while a service or a container uses it. When no snapshot can be made, the volume stays.",
      .run = cli_volumes_remove },
    { "volumes", "snapshot", "Copy a volume's files into a snapshot", .arguments = { { .name = "VOLUME" } },
      .options = snapshot_volume_options,
      .details = "What a running service writes meanwhile is copied as it is found; stop it first where that matters.",
      .run = cli_volumes_snapshot },
    { "volumes", "snapshots", "List snapshots, newest first", .flags = COMMAND_LIST, .options = snapshots_options,
      .details = "Each is a file on the hub's machine that `tar --zstd -xf` unpacks.", .run = cli_volumes_snapshots },

    { "jobs", "list", "List jobs, newest first: work that outlives a request", .flags = COMMAND_LIST,
      .options = jobs_list_options, .run = cli_jobs_list },
    { "jobs", "show", "Show one job", .flags = COMMAND_WATCH, .arguments = { { .name = "JOB" } },
      .run = cli_jobs_show },
    { "jobs", "cancel", "Cancel a job", .arguments = { { .name = "JOB" } },
      .details = "Deployments are cancelled as deployments.", .run = cli_jobs_cancel },
    { "jobs", "retry", "Run a failed or cancelled job again", .arguments = { { .name = "JOB" } },
      .run = cli_jobs_retry },
    { "jobs", "schedules", "List what is done at set times", .flags = COMMAND_WATCH, .run = cli_jobs_schedules },

    { "ci", "runs", "List CI runs, newest first", .flags = COMMAND_LIST, .options = ci_runs_options,
      .run = cli_ci_runs },
    { "ci", "deliveries", "List what CI services sent, and what became of it", .flags = COMMAND_LIST,
      .options = ci_deliveries_options, .run = cli_ci_deliveries },
    { "ci", "rules", "List the rules that follow and deploy by CI", .flags = COMMAND_WATCH, .run = cli_ci_rules },
    { "ci", "add-rule", "Make a rule for a service", .arguments = { SERVICE_WORD }, .options = ci_rule_options,
      .details = "With --repository its runs are shown as the service's deployments, and with --image too each "
                 "successful run of the branch deploys that image. Forks, pull requests and tags never deploy.",
      .examples = "hbcloud ci add-rule shop --repository example-org/shop --branch main --image "
                  "'ghcr.io/example-org/shop:{commit}' --check test --at-least coverage=80\n"
                  "hbcloud ci add-rule shop --pushed-image 'ghcr.io/example-org/shop:v*' --approval",
      .run = cli_ci_add_rule },
    { "ci", "remove-rule", "Remove a rule", .arguments = { { .name = "RULE" } }, .run = cli_ci_remove_rule },
    { "ci", "approvals", "List what rules want deployed, and how it stands", .flags = COMMAND_LIST,
      .options = ci_approvals_options, .run = cli_ci_approvals },
    { "ci", "approve", "Approve a deployment by rule", .arguments = { { .name = "APPROVAL" } }, .run = cli_ci_approve },
    { "ci", "reject", "Reject a deployment by rule", .arguments = { { .name = "APPROVAL" } }, .run = cli_ci_reject },
    { "ci", "figure", "Tell a figure of a commit, for gates", .arguments = { { .name = "NAME" }, { .name = "VALUE" } },
      .options = ci_figure_options, .examples = "hbcloud ci figure coverage 83.5", .run = cli_ci_figure },

    { "secrets", "list", "List secrets, never their values", .flags = COMMAND_LIST, .run = cli_secrets_list },
    { "secrets", "show", "Show a secret's versions, never their values", .arguments = { { .name = "SECRET" } },
      .run = cli_secrets_show },
    { "secrets", "set", "Set a secret: a new version of it", .arguments = { { .name = "SECRET" } },
      .options = set_secret_options,
      .details = "The value is asked for without showing it, or read from standard input or a file, byte for byte "
                 "(a last newline too), and is never an argument. A service's file names it in place of a variable's "
                 "value, DATABASE_PASSWORD: { secret: database-password }, or as a file, container.secrets.",
      .examples = "hbcloud secrets set database-password\n"
                  "hbcloud secrets set tls-key --from-file key.pem\n"
                  "printf %s \"$TOKEN\" | hbcloud secrets set api-token",
      .run = cli_secrets_set },
    { "secrets", "remove", "Delete a secret", .flags = COMMAND_ASKS, .arguments = { { .name = "SECRET" } },
      .details = "Refused while a kept release uses a version that would go. Needs the role admin.",
      .options = remove_secret_options, .run = cli_secrets_remove },

    { "routes", "list", "List routes: which domain leads to which service, and what passes", .flags = COMMAND_LIST,
      .run = cli_routes_list },
    { "routes", "show", "Show a service's route, and its form in the router's configuration", .flags = COMMAND_WATCH,
      .arguments = { SERVICE_WORD }, .run = cli_routes_show },

    { "certificates", "list", "List the certificates that the routes' domains show", .flags = COMMAND_WATCH,
      .run = cli_certificates_list },
    { "certificates", "show", "Show a domain's certificate and those before it", .arguments = { { .name = "DOMAIN" } },
      .run = cli_certificates_show },

    { "registrations", "list", "List what the service registry is to know, and whether it does", .flags = COMMAND_WATCH,
      .run = cli_registrations_list },

    { "registries", "list", "List registry logins, never their passwords", .run = cli_registries_list },
    { "registries", "login", "Log in to a registry, for pulls", .arguments = { { .name = "HOST" } },
      .options = registry_login_options,
      .details = "The password is asked for without showing it, or read from standard input. The registry is asked "
                 "whether it takes the login before it is kept.",
      .examples = "hbcloud registries login ghcr.io --username octocat <token.txt", .run = cli_registries_login },
    { "registries", "logout", "Forget a registry login", .arguments = { { .name = "HOST" } },
      .run = cli_registries_logout },

    { "config", "show", "The settings in force, and where each came from", .run = cli_config_show },
    { "config", "check", "Check the settings without starting the hub", .flags = COMMAND_LOCAL,
      .options = serve_options },
    { "config", "env-example", "Print every setting as an environment file", .flags = COMMAND_LOCAL },

    { "events", NULL, "Follow every change, live", .options = events_options,
      .details = "With --json, each event is one line.", .run = cli_events },
    { "login", NULL, "Save where the hub is, and an API key",
      .details = "Asks for the key without showing it, or reads it from standard input. Both are kept in "
                 "~/.config/hbcloud/config.yaml, which only you can read.",
      .examples =
          "hbcloud login --url https://cloud.example.org\nhbcloud login --url https://cloud.example.org <key.txt",
      .run = cli_login },
    { "token", NULL, "Get a short-lived bearer token", .options = token_options, .run = cli_token },

    { "completion", NULL, "Print the completion script of a shell", .flags = COMMAND_LOCAL,
      .arguments = { { .name = "SHELL", .kind = WORD_CHOICE, .choices = "bash zsh fish" } },
      .details = "Names of nodes and services are completed by asking the hub.",
      .examples = "hbcloud completion bash >/etc/bash_completion.d/hbcloud\n"
                  "hbcloud completion zsh >/usr/local/share/zsh/site-functions/_hbcloud\n"
                  "hbcloud completion fish >~/.config/fish/completions/hbcloud.fish",
      .run = cli_completion },
    { "man", NULL, "Print the manual page (roff)", .flags = COMMAND_LOCAL, .run = cli_man },
    { "version", NULL, "Print the version", .flags = COMMAND_LOCAL, .run = cli_version },
    { "help", NULL, "Explain a command", .flags = COMMAND_LOCAL, .options = help_options,
      .arguments = { { .name = "COMMAND", .kind = WORD_COMMAND, .optional = true, .repeat = true } }, .run = cli_help },
    { "__complete", NULL, "Candidates for the last of the words", .flags = COMMAND_LOCAL | COMMAND_HIDDEN | COMMAND_RAW,
      .arguments = { { .name = "WORD", .optional = true, .repeat = true } }, .run = cli_complete },
};
const size_t cli_commands_len = ARRAY_LEN(cli_commands);
