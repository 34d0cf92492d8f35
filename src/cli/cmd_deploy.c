/* hbcloud services deploy: makes the service, or changes it, then follows the deployment to its end. */
#include "base/id.h"
#include "cli/ci_call.h"
#include "cli/deploy.h"
#include "cli/follow.h"
#include "cli/list.h"
#include "cli/plan.h"
#include "cli/service_file.h"

#define RETRIES 3
#define RETRY_MS 500
#define BUSY_TRIES 20
#define BUSY_MS 500

/* The document by file or by options, and whether it is the whole service. */
static int read_document(struct cli *c, json_t **ret, bool *ret_whole)
{
    const char *file = args_get(&c->args, "file"), *name = args_word(&c->args, 0);
    static const char *const by_option[] = { "image",  "port",   "node",    "type",        "environment",
                                             "env",    "volume", "domain",  "health-path", "cpu",
                                             "memory", "label",  "version", "instances",   "strategy" };
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

/* What is to be deployed, and how it is asked for. */
struct deploying {
    struct cli *cli;
    const json_t *document;
    bool whole, plan;
    const char *key; /* of the run that deploys; NULL: each call is its own */
};

/* What may not have arrived is sent again under the same key: it cannot deploy twice. */
static int send_safely(const struct deploying *x, const struct api_request *rq, struct api_reply *ret)
{
    int r = api_call(x->cli, rq, ret);
    for (int i = 0; i < RETRIES && !ret->status && r == CLI_UNREACHABLE && cli_sleep(RETRY_MS); i++) {
        answer_done(ret);
        r = api_call(x->cli, rq, ret);
    }
    return r;
}

static int create(const struct deploying *x, const char *key, struct api_reply *ret)
{
    struct api_request rq = { .method = "POST",
                              .path = x->plan ? "/v1/services?plan=true" : "/v1/services",
                              .body = x->document,
                              .idempotency_key = x->plan ? NULL : key,
                              .quiet = true };
    return send_safely(x, &rq, ret);
}

static int change(const struct deploying *x, const char *key, struct api_reply *ret)
{
    _cleanup_json_ json_t *patch = service_patch(x->document);
    _cleanup_buf_ struct buf path;
    if (!patch)
        return cli_fail(x->cli, CLI_FAILED, "out of memory");
    buf_init(&path, 0);
    entity_path(&path, "/v1/services/", json_str(x->document, "name"), "");
    path_query(&path, "whole", x->whole ? "true" : NULL);
    path_query(&path, "plan", x->plan ? "true" : NULL);
    struct api_request rq = {
        .method = "PATCH", .path = buf_str(&path), .body = patch, .idempotency_key = x->plan ? NULL : key, .quiet = true
    };
    return send_safely(x, &rq, ret);
}

/* One try: PATCH where the service exists, else POST. Who else made or removed it meanwhile shows as 409 to the
 * POST or 404 to the PATCH: `ret_raced`. */
static int deploy_once(const struct deploying *x, const char *key, struct api_reply *ret, bool *ret_raced)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/services/", json_str(x->document, "name"), "");
    _cleanup_reply_ struct api_reply found;
    *ret = (struct api_reply){ 0 };
    *ret_raced = false;
    int r = read_service(x->cli, buf_str(&path), &found);
    if (r != CLI_OK)
        return r;
    bool exists = found.status != 404;
    r = exists ? change(x, key, ret) : create(x, key, ret);
    *ret_raced = ret->status == (exists ? 404 : 409);
    return r;
}

static bool name_is_taken(const struct api_reply *reply)
{
    return reply->status == 409 && json_object_get(json_at(reply->json, "error.details"), "/name");
}

/* The same request under this key is on its way, from an earlier try of the same run. */
static bool is_under_way(const struct api_reply *reply)
{
    const char *message = json_str(reply->json, "error.message");
    return reply->status == 409 && message && strstr(message, "still being worked on");
}

/* By a run's key: what was made under it before is answered again. So the service is made first, where the document is
 * enough for that; whether it is there now says nothing of what this run did. */
static int deploy_by_key(const struct deploying *x, struct api_reply *ret)
{
    bool complete = json_object_get(json_object_get(x->document, "networking"), "internalPort") != NULL;
    int r = CLI_FAILED;
    *ret = (struct api_reply){ 0 };
    for (int i = 0; i < BUSY_TRIES; i++) {
        bool make = complete;
        if (make && (r = create(x, x->key, ret)) != CLI_OK && name_is_taken(ret)) {
            answer_done(ret);
            make = false;
        }
        if (!make)
            r = change(x, x->key, ret);
        if (!is_under_way(ret) || !cli_sleep(BUSY_MS))
            break;
        answer_done(ret);
    }
    return r;
}

static int start_deployment(const struct deploying *x, struct api_reply *ret)
{
    char key[ID_LEN + 1];
    bool raced = false;
    int r = x->key && !x->plan ? deploy_by_key(x, ret) : deploy_once(x, id_new(key), ret, &raced);
    if (raced) {
        answer_done(ret);
        r = deploy_once(x, id_new(key), ret, &raced);
    }
    if (r != CLI_OK && (ret->status || ret->failure[0]))
        api_explain(x->cli, ret, r);
    return r;
}

/* Where the service is reached now; a job has run to its end. */
static int print_serving(struct cli *c, const json_t *document)
{
    const char *name = json_str(document, "name");
    bool job = str_eq(json_str(document, "lifecycle"), "job");
    _cleanup_buf_ struct buf path, out;
    buf_init(&path, 0);
    buf_init(&out, 0);
    entity_path(&path, "/v1/services/", name, "");
    struct api_request rq = { .path = buf_str(&path), .quiet = true };
    _cleanup_reply_ struct api_reply reply;
    (void)api_call(c, &rq, &reply);
    const char *url = json_str(reply.json, "service.networking.url");
    text_clean(&out, name, false);
    (void)buf_puts(&out, job ? " is done." : url ? " serves at " : " serves.");
    text_clean(&out, url && !job ? url : "", false);
    (void)buf_putc(&out, '\n');
    return cli_put(c, &out);
}

/* Did the deployment end without serving? */
static bool ended_badly(struct cli *c, const char *id)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/deployments/", id, "");
    struct api_request rq = { .path = buf_str(&path), .quiet = true };
    _cleanup_reply_ struct api_reply reply;
    (void)api_call(c, &rq, &reply);
    const json_t *deployment = json_object_get(reply.json, "deployment");
    return deployment_has_ended(deployment) && !str_eq(json_str(deployment, "status.state"), "completed");
}

#define TRIES_MAX 9

/* Under a key that was made of the run, one that ran before and failed is tried anew: a CI service may restart a job
 * under the same number. One that serves, or is under way, is the answer. */
static int start_for_run(const struct deploying *x, struct api_reply *ret)
{
    char key[CI_KEY_MAX + 8];
    int r = start_deployment(x, ret);
    for (int n = 2; r == CLI_OK && n <= TRIES_MAX && ret->replayed; n++) {
        const char *id = json_str(ret->json, "deployment_id");
        if (!id || !ended_badly(x->cli, id))
            break;
        struct deploying again = *x;
        (void)snprintf(key, sizeof key, "%.*s-%d", CI_KEY_MAX - 16, x->key, n);
        again.key = key;
        answer_done(ret);
        r = start_deployment(&again, ret);
    }
    return r;
}

/* What CI says of itself goes into the document, which is not the service's own then. */
static void fill_by_ci(struct cli *c, json_t *document, char key[CI_KEY_MAX], bool *ret_made, bool *ret_annotates)
{
    struct ci_call ci;
    key[0] = '\0';
    if (!ci_call_read(&c->args, &ci))
        return;
    ci_call_fill(&ci, document);
    *ret_annotates = ci.annotates;
    *ret_made = !ci.key;
    if (ci.key)
        str_copy(key, CI_KEY_MAX, ci.key);
    else
        ci_call_key(&ci, json_str(document, "name"), json_str(document, "container.image"), key);
}

static int deploy(struct cli *c, bool plan)
{
    char key[CI_KEY_MAX];
    _cleanup_json_ json_t *document = NULL;
    bool whole = false, made = false, annotates = false;
    int64_t timeout_ms = 0;
    int r = plan ? CLI_OK : follow_timeout(c, &timeout_ms);
    if (r == CLI_OK)
        r = read_document(c, &document, &whole);
    if (r != CLI_OK)
        return r;
    fill_by_ci(c, document, key, &made, &annotates);
    _cleanup_reply_ struct api_reply started;
    struct deploying x = { c, document, whole, plan, key[0] ? key : NULL };
    r = made && key[0] && !plan ? start_for_run(&x, &started) : start_deployment(&x, &started);
    if (r != CLI_OK)
        return r;
    if (plan)
        return plan_show(c, &started);
    r = follow_started(c, &started, NULL, NULL, timeout_ms);
    if (r == CLI_OK && !c->json && !args_has(&c->args, "no-wait"))
        return print_serving(c, document);
    if (r != CLI_OK && annotates && !c->json)
        (void)fprintf(c->err, "::error title=hbcloud::The deployment of %s did not complete.\n",
                      json_str(document, "name"));
    return r;
}

int cli_services_deploy(struct cli *c)
{
    return deploy(c, args_has(&c->args, "plan"));
}

int cli_services_plan(struct cli *c)
{
    return deploy(c, true);
}

int deploy_document(struct cli *c, const json_t *document, bool whole, struct api_reply *ret)
{
    return start_deployment(&(struct deploying){ .cli = c, .document = document, .whole = whole }, ret);
}
