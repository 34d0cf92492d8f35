/* hbcloud health-check: one look at a service, or waiting until it is well; for scripts and CI. */
#include "base/clock.h"
#include "cli/follow.h"
#include "cli/list.h"

#define ASK_MS 500
#define WAIT_DEFAULT_MS ((int64_t)5 * 60 * 1000)

struct verdict {
    bool well;
    char why[700];
};

/* All instances that are wanted run and are healthy. */
static void judge(const json_t *service, struct verdict *v)
{
    const char *state = json_str(service, "status.deployment"), *health = json_str(service, "status.health");
    const char *message = json_str(service, "status.message");
    int64_t wanted = json_int(service, "instances.wanted", 1), healthy = json_int(service, "instances.healthy", 0);
    bool running = str_eq(state, "running");
    v->well = running && str_eq(health, "healthy") && healthy >= wanted;
    if (running && str_eq(health, "healthy") && !v->well)
        (void)snprintf(v->why, sizeof v->why, "%lld of %lld instances are healthy", (long long)healthy,
                       (long long)wanted);
    else
        (void)snprintf(v->why, sizeof v->why, "it is %s and %s%s%.400s", state ? state : "unknown",
                       health ? health : "unknown", message ? ": " : "", message ? message : "");
}

static bool comes_back(const struct api_reply *reply, int status)
{
    return status == CLI_UNREACHABLE || status == CLI_TIMED_OUT || reply->status == 429 || reply->status >= 502;
}

static int print_well(struct cli *c, const struct api_reply *reply)
{
    if (c->json)
        return reply_print(c, reply);
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    text_clean(&out, json_str(reply->json, "service.name"), false);
    (void)buf_puts(&out, " is healthy.\n");
    return cli_put(c, &out);
}

/* CLI_OK with the reply; `ret_away`: ask again. */
static int look(struct cli *c, const char *path, bool wait, struct api_reply *ret, bool *ret_away)
{
    struct api_request rq = { .path = path, .quiet = true, .timeout_ms = 10000 };
    int r = api_call(c, &rq, ret);
    *ret_away = r != CLI_OK && wait && comes_back(ret, r);
    if (r != CLI_OK && !*ret_away && !cli_interrupted())
        api_explain(c, ret, r);
    return r;
}

static int end_badly(struct cli *c, const struct api_reply *reply, bool waited, const struct verdict *v)
{
    if (c->json && reply->json)
        (void)reply_print(c, reply);
    return cli_fail(c, waited ? CLI_TIMED_OUT : CLI_FAILED, "%s is not healthy%s: %s", args_word(&c->args, 0),
                    waited ? " within the time" : "", v->why);
}

int cli_health_check(struct cli *c)
{
    const char *text = args_get(&c->args, "timeout");
    bool wait = args_has(&c->args, "wait");
    int64_t ms = WAIT_DEFAULT_MS;
    if (text && (str_to_duration_ms(text, &ms) < 0 || ms < 1))
        return cli_fail(c, CLI_USAGE, "--timeout must be longer than nothing");
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/services/", args_word(&c->args, 0), "");
    int64_t deadline = clock_mono_ms() + ms;
    struct verdict v = { .why = "the hub does not answer" };
    cli_catch_interrupts();
    for (;;) {
        bool away = false;
        _cleanup_reply_ struct api_reply reply;
        int r = look(c, buf_str(&path), wait, &reply, &away);
        if (r != CLI_OK && !away)
            return cli_interrupted() ? CLI_INTERRUPTED : r;
        if (r == CLI_OK)
            judge(json_object_get(reply.json, "service"), &v);
        if (v.well)
            return print_well(c, &reply);
        if (!wait || clock_mono_ms() >= deadline)
            return end_badly(c, &reply, wait, &v);
        if (!cli_sleep(ASK_MS))
            return CLI_INTERRUPTED;
    }
}
