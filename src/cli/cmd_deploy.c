/* hbcloud services deploy: makes the service, or changes it, then follows the deployment to its end. */
#include "base/id.h"
#include "cli/deploy.h"
#include "cli/follow.h"
#include "cli/list.h"
#include "cli/service_file.h"

#define RETRIES 3
#define RETRY_MS 500

/* The document by file or by options, and whether it is the whole service. */
static int read_document(struct cli *c, json_t **ret, bool *ret_whole)
{
    const char *file = args_get(&c->args, "file"), *name = args_word(&c->args, 0);
    static const char *const by_option[] = { "image",  "port",   "node",   "type",        "environment",
                                             "env",    "volume", "domain", "health-path", "cpu",
                                             "memory", "label",  "version" };
    for (size_t i = 0; file && i < ARRAY_LEN(by_option); i++)
        if (args_has(&c->args, by_option[i]))
            return cli_fail(c, CLI_USAGE, "--file is the whole service, so --%s has no place beside it", by_option[i]);
    if (!file && !name)
        return cli_fail(c, CLI_USAGE, "say --file FILE, or a NAME with --image and --port");
    *ret_whole = file != NULL;
    int r = file ? service_file_read(c, file, ret) : service_from_options(c, ret);
    if (r == CLI_OK && file && name && !str_eq(name, json_str(*ret, "name")))
        return cli_fail(c, CLI_USAGE, "%s is the file of %s, not of %s", file, json_str(*ret, "name"), name);
    return r;
}

/* The service of that name. CLI_OK with status 404 in the reply: there is none. */
static int read_service(struct cli *c, const char *path, struct api_reply *ret)
{
    struct api_request rq = { .path = path, .quiet = true };
    int r = api_call(c, &rq, ret);
    if (ret->status == 404)
        return CLI_OK;
    if (r != CLI_OK)
        api_explain(c, ret, r);
    return r;
}

/* A POST that may not have arrived is sent again under the same key: it cannot deploy twice. */
static int create(struct cli *c, const json_t *document, const char *key, struct api_reply *ret)
{
    struct api_request rq = {
        .method = "POST", .path = "/v1/services", .body = document, .idempotency_key = key, .quiet = true
    };
    int r = api_call(c, &rq, ret);
    for (int i = 0; i < RETRIES && !ret->status && r == CLI_UNREACHABLE && cli_sleep(RETRY_MS); i++) {
        answer_done(ret);
        r = api_call(c, &rq, ret);
    }
    return r;
}

static int change(struct cli *c, const char *path, const json_t *document, const json_t *service, bool whole,
                  struct api_reply *ret)
{
    _cleanup_json_ json_t *patch = service_patch(document, service, whole);
    if (!patch)
        return cli_fail(c, CLI_FAILED, "out of memory");
    struct api_request rq = { .method = "PATCH", .path = path, .body = patch, .quiet = true };
    return api_call(c, &rq, ret);
}

/* One try: PATCH where the service exists, else POST. Who else made or removed it meanwhile shows as 409 to the
 * POST or 404 to the PATCH: `ret_raced`. */
static int deploy_once(struct cli *c, const json_t *document, bool whole, const char *key, struct api_reply *ret,
                       bool *ret_raced)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/services/", json_str(document, "name"), "");
    _cleanup_reply_ struct api_reply found;
    *ret = (struct api_reply){ 0 };
    *ret_raced = false;
    int r = read_service(c, buf_str(&path), &found);
    if (r != CLI_OK)
        return r;
    bool exists = found.status != 404;
    r = exists ? change(c, buf_str(&path), document, json_object_get(found.json, "service"), whole, ret)
               : create(c, document, key, ret);
    *ret_raced = ret->status == (exists ? 404 : 409);
    return r;
}

static int start_deployment(struct cli *c, const json_t *document, bool whole, struct api_reply *ret)
{
    char key[ID_LEN + 1];
    bool raced;
    int r = deploy_once(c, document, whole, id_new(key), ret, &raced);
    if (raced) {
        answer_done(ret);
        r = deploy_once(c, document, whole, id_new(key), ret, &raced);
    }
    if (r != CLI_OK && (ret->status || ret->failure[0]))
        api_explain(c, ret, r);
    return r;
}

static int print_started(struct cli *c, const struct api_reply *started, const char *id)
{
    if (c->json)
        return reply_print(c, started);
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    (void)buf_printf(&out, "%s\n", id);
    (void)fprintf(c->err, "The deployment has started: `" CLI_NAME " deployments watch %s` follows it.\n", id);
    return cli_put(c, &out);
}

/* Where the service is reached now. */
static int print_serving(struct cli *c, const char *name)
{
    _cleanup_buf_ struct buf path, out;
    buf_init(&path, 0);
    buf_init(&out, 0);
    entity_path(&path, "/v1/services/", name, "");
    struct api_request rq = { .path = buf_str(&path), .quiet = true };
    _cleanup_reply_ struct api_reply reply;
    (void)api_call(c, &rq, &reply);
    const char *url = json_str(reply.json, "service.networking.url");
    text_clean(&out, name, false);
    (void)buf_puts(&out, url ? " serves at " : " serves.");
    text_clean(&out, url ? url : "", false);
    (void)buf_putc(&out, '\n');
    return cli_put(c, &out);
}

static int wait_for_end(struct cli *c, const char *id, const char *name, int64_t timeout_ms)
{
    _cleanup_reply_ struct api_reply last;
    int r = follow_deployment(c, id, timeout_ms, &last);
    if (c->json && last.json) {
        int printed = reply_print(c, &last);
        return r == CLI_OK ? printed : r;
    }
    return r == CLI_OK ? print_serving(c, name) : r;
}

int cli_services_deploy(struct cli *c)
{
    _cleanup_json_ json_t *document = NULL;
    bool whole = false;
    int64_t timeout_ms;
    int r = follow_timeout(c, &timeout_ms);
    if (r == CLI_OK)
        r = read_document(c, &document, &whole);
    if (r != CLI_OK)
        return r;
    _cleanup_reply_ struct api_reply started;
    r = start_deployment(c, document, whole, &started);
    if (r != CLI_OK)
        return r;
    const char *id = json_str(started.json, "deployment_id");
    if (!id)
        return cli_fail(c, CLI_FAILED, "the hub did not say which deployment it started");
    if (args_has(&c->args, "no-wait"))
        return print_started(c, &started, id);
    return wait_for_end(c, id, json_str(document, "name"), timeout_ms);
}

int deploy_document(struct cli *c, const json_t *document, bool whole, struct api_reply *ret)
{
    return start_deployment(c, document, whole, ret);
}
