#include "cli/follow.h"

#include "base/clock.h"
#include "cli/format.h"

#include <string.h>

#define ASK_MS 300
#define BAR_WIDTH 30

struct progress {
    struct cli *cli;
    struct term term;    /* of the error stream */
    size_t phases_shown; /* of a stream without a terminal */
    char state[32];
    unsigned lines;      /* drawn on a terminal, to be drawn over */
    bool away;
};

bool deployment_has_ended(const json_t *deployment)
{
    const char *state = json_str(deployment, "status.state");
    return str_eq(state, "completed") || str_eq(state, "failed") || str_eq(state, "rolled_back");
}

static void put_phase(const struct term *t, struct buf *out, const json_t *phase)
{
    char duration[FORMAT_MAX], name[32];
    const char *status = json_str(phase, "status"), *word = json_str(phase, "name");
    const char *good = t->utf8 ? "\xe2\x9c\x93" : "ok", *bad = t->utf8 ? "\xe2\x9c\x97" : "!!";
    str_copy(name, sizeof name, word ? word : "");
    term_style(t, out, style_of(status), str_eq(status, "success") ? good : str_eq(status, "failed") ? bad : "-");
    (void)buf_printf(out, " %-12s %s%s\n", name, format_duration(json_num(phase, "duration", 0), duration),
                     str_eq(status, "success")  ? ""
                     : str_eq(status, "failed") ? " (failed)"
                                                : " (skipped)");
}

/* A terminal: everything is drawn anew over what was drawn before. */
static void draw(struct progress *p, const json_t *deployment)
{
    _cleanup_buf_ struct buf out, line;
    buf_init(&out, 0);
    buf_init(&line, 0);
    if (p->lines)
        (void)buf_printf(&out, "\033[%uA\033[J", p->lines);
    size_t i;
    json_t *phase;
    p->lines = 0;
    json_array_foreach (json_at(deployment, "timing.phases"), i, phase) {
        put_phase(&p->term, &out, phase);
        p->lines++;
    }
    const char *message = json_str(deployment, "status.message"), *step = json_str(deployment, "status.step");
    double percent = json_num(deployment, "status.progress", 0);
    size_t room = p->term.width > BAR_WIDTH + 9 ? (size_t)p->term.width - BAR_WIDTH - 9 : 0;
    format_bar(&out, percent, BAR_WIDTH, p->term.utf8);
    (void)buf_printf(&out, " %3.0f%% ", percent);
    (void)text_fit(&line,
                   p->away   ? "the hub is away; asking again"
                   : message ? message
                   : step    ? step
                             : "",
                   room, p->term.utf8);
    (void)buf_printf(&out, "%s\n", buf_str(&line));
    p->lines++;
    (void)fputs(buf_str(&out), p->cli->err);
    (void)fflush(p->cli->err);
}

/* Elsewhere: one line for each step that has ended, and for each change of the state. */
static void tell(struct progress *p, const json_t *deployment)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    const char *state = json_str(deployment, "status.state");
    const json_t *phases = json_at(deployment, "timing.phases");
    for (; p->phases_shown < json_array_size(phases); p->phases_shown++)
        put_phase(&p->term, &out, json_array_get(phases, p->phases_shown));
    if (state && !str_eq(state, p->state) && !deployment_has_ended(deployment))
        (void)buf_printf(&out, "%s\n", state);
    str_copy(p->state, sizeof p->state, state ? state : "");
    (void)fputs(buf_str(&out), p->cli->err);
    (void)fflush(p->cli->err);
}

static void show_progress(struct progress *p, const json_t *deployment)
{
    if (p->term.tty)
        draw(p, deployment);
    else
        tell(p, deployment);
}

int follow_timeout(struct cli *c, int64_t *ret_ms)
{
    const char *text = args_get(&c->args, "timeout");
    int64_t ms = FOLLOW_DEFAULT_MS;
    if (text && (str_to_duration_ms(text, &ms) < 0 || ms < 1))
        return cli_fail(c, CLI_USAGE, "--timeout must be longer than nothing");
    *ret_ms = ms;
    return CLI_OK;
}

static int goes_on(struct cli *c, int status, const char *id)
{
    if (status == CLI_INTERRUPTED)
        (void)fputc('\n', c->err); /* behind the terminal's ^C */
    return cli_fail(c, status, "%s; the deployment goes on: `" CLI_NAME " deployments watch %s` follows it",
                    status == CLI_TIMED_OUT ? "this took too long" : "interrupted", id);
}

static int end_status(struct cli *c, const json_t *deployment)
{
    const char *state = json_str(deployment, "status.state"), *message = json_str(deployment, "status.message");
    if (str_eq(state, "completed"))
        return CLI_OK;
    return cli_fail(c, CLI_FAILED, "the deployment of %s %s%s%s", json_str(deployment, "serviceName"),
                    str_eq(state, "rolled_back") ? "was rolled back" : "failed", message ? ": " : "",
                    message ? message : "");
}

/* A hub that is away, or too busy to answer, is asked again; a refusal ends it. */
static bool comes_back(const struct api_reply *reply, int status)
{
    return status == CLI_UNREACHABLE || (status == CLI_TIMED_OUT && !reply->status) || reply->status == 429 ||
           reply->status == 502 || reply->status == 503 || reply->status == 504;
}

static int ask(struct progress *p, const char *path, struct api_reply *ret)
{
    struct api_request rq = { .path = path, .quiet = true, .timeout_ms = 10000 };
    struct api_reply fresh;
    int r = api_call(p->cli, &rq, &fresh);
    if (r == CLI_OK) {
        answer_done(ret);
        *ret = fresh;
        p->away = false;
        show_progress(p, json_object_get(ret->json, "deployment"));
        return CLI_OK;
    }
    p->away = comes_back(&fresh, r);
    if (p->away && p->term.tty && ret->json)
        show_progress(p, json_object_get(ret->json, "deployment"));
    if (!p->away && !cli_interrupted())
        api_explain(p->cli, &fresh, r);
    answer_done(&fresh);
    return p->away ? CLI_OK : r;
}

int follow_deployment(struct cli *c, const char *id, int64_t timeout_ms, struct api_reply *ret)
{
    struct progress p = { .cli = c };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, "/v1/deployments/");
    path_segment(&path, id);
    *ret = (struct api_reply){ 0 };
    term_init(&p.term, c->err);
    cli_catch_interrupts();
    int64_t deadline = clock_mono_ms() + timeout_ms;
    for (;;) {
        int r = ask(&p, buf_str(&path), ret);
        if (cli_interrupted())
            return goes_on(c, CLI_INTERRUPTED, id);
        if (r != CLI_OK)
            return r;
        const json_t *deployment = json_object_get(ret->json, "deployment");
        if (!p.away && deployment_has_ended(deployment))
            return end_status(c, deployment);
        if (clock_mono_ms() >= deadline)
            return goes_on(c, CLI_TIMED_OUT, id);
        (void)cli_sleep(ASK_MS);
    }
}
