#include "base/error.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int status;
    const char *meaning;
} catalogue[ERR_COUNT] = { [ERR_NONE] = { "OK", 200, "" },
#define X(name, code, status, text) [name] = { code, status, text },
                           ERROR_CATALOGUE(X)
#undef X
};

int error_set(struct error *e, enum error_code code, const char *fmt, ...)
{
    if (!e)
        return -(int)code;
    error_done(e);
    e->code = code;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(e->message, sizeof e->message, fmt, args);
    va_end(args);
    return -(int)code;
}

int error_errno(struct error *e, int negative_errno, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    char reason[128] = "";
    const char *said = strerror_r(-negative_errno, reason, sizeof reason);
    return error_set(e, ERR_INTERNAL, "%s: %s", text, said);
}

void error_prefix(struct error *e, const char *fmt, ...)
{
    if (!e)
        return;
    char old[sizeof e->message];
    memcpy(old, e->message, sizeof old);
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->message, sizeof e->message, fmt, args);
    va_end(args);
    size_t at = n < 0 ? 0 : (size_t)n;
    if (at + 3 > sizeof e->message)
        return;
    memcpy(e->message + at, ": ", 3);
    str_copy(e->message + at + 2, sizeof e->message - at - 2, old);
}

void error_detail(struct error *e, const char *pointer, const char *fmt, ...)
{
    if (!e)
        return;
    if (!e->details)
        e->details = json_object();
    if (!e->details || json_object_size(e->details) >= ERROR_DETAILS_MAX || json_object_get(e->details, pointer))
        return;
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)json_object_set_new(e->details, pointer, json_string(text));
}

void error_done(struct error *e)
{
    json_decref(e->details);
    *e = ERROR_INIT;
}

const char *error_code_name(enum error_code code)
{
    return code < ERR_COUNT ? catalogue[code].name : catalogue[ERR_INTERNAL].name;
}

int error_code_status(enum error_code code)
{
    return code < ERR_COUNT ? catalogue[code].status : 500;
}

const char *error_code_meaning(enum error_code code)
{
    return code < ERR_COUNT ? catalogue[code].meaning : "";
}
