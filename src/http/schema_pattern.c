/*
 * ECMA 262 regular expressions on PCRE2. The translation spells out what the
 * two read differently (\s, ., \v, \u, \p, $) and refuses what only PCRE2 knows,
 * so a pattern means here what it means in the browser. Matching is bounded by steps.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "http/schema_internal.h"

#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUICK_LIMIT = 1000,       /* backtracking steps a match gets for free */
    MATCH_LIMIT = 250000,     /* and at most, from one starting place */
    MATCH_LIMIT_FLOOR = 2000, /* the least of that on a long text */
    MATCH_SHARE = 4000000,    /* what the starting places of one text share */
    MATCH_BUDGET = 20000000,  /* what all matches for one value share */
    DEPTH_LIMIT = 20000,
    HEAP_LIMIT_KIB = 8192,
};

struct pattern {
    struct pattern *next;
    pcre2_code *code;
    bool anchored;
    char source[];
};

#define SPACES \
    "\\t\\n\\x0b\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"

struct translation {
    const char *at, *end;
    char *out; /* room for the longest replacement of every input byte */
    bool in_class;
    bool quantified; /* the last thing written was a quantifier */
    struct reason reason;
};

enum { LONGEST = sizeof SPACES + 4 };

static int refuse(struct translation *t, const char *what)
{
    return schema_fail(t->reason, "%s", what);
}

static void put(struct translation *t, const char *text)
{
    t->out = stpcpy(t->out, text);
}

static bool read_hex(struct translation *t, int digits, unsigned long *ret)
{
    char text[8] = "";

    if (t->end - t->at < digits)
        return false;
    for (int i = 0; i < digits; i++) {
        if (!isxdigit((unsigned char)t->at[i]))
            return false;
        text[i] = t->at[i];
    }
    *ret = strtoul(text, NULL, 16);
    t->at += digits;
    return true;
}

/* After "\u": four digits, a surrogate pair of such, or digits in braces. */
static int put_code_point(struct translation *t)
{
    unsigned long code = 0, low;
    const char *close = t->at < t->end ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;

    if (t->at < t->end && *t->at == '{') {
        long digits = close ? close - t->at - 1 : 0;
        t->at++;
        if (digits < 1 || digits > 6 || !read_hex(t, (int)digits, &code) || code > 0x10ffff)
            return refuse(t, "\\u{} needs the digits of a code point");
        t->at++;
    } else if (!read_hex(t, 4, &code)) {
        return refuse(t, "\\u needs four hexadecimal digits");
    }
    if (code >= 0xd800 && code < 0xdc00 && t->end - t->at >= 6 && t->at[0] == '\\' && t->at[1] == 'u') {
        t->at += 2;
        if (!read_hex(t, 4, &low) || low < 0xdc00 || low > 0xdfff)
            return refuse(t, "half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code >= 0xd800 && code <= 0xdfff)
        return refuse(t, "half a surrogate pair");
    t->out += sprintf(t->out, "\\x{%lx}", code);
    return 0;
}

/* General categories by their long names; PCRE2 knows the short ones only. */
static const struct {
    const char *name, *code;
} categories[] = {
    { "Letter", "L" },
    { "Uppercase_Letter", "Lu" },
    { "Lowercase_Letter", "Ll" },
    { "Titlecase_Letter", "Lt" },
    { "Cased_Letter", "L&" },
    { "Modifier_Letter", "Lm" },
    { "Other_Letter", "Lo" },
    { "Mark", "M" },
    { "Nonspacing_Mark", "Mn" },
    { "Spacing_Mark", "Mc" },
    { "Enclosing_Mark", "Me" },
    { "Number", "N" },
    { "Decimal_Number", "Nd" },
    { "digit", "Nd" },
    { "Letter_Number", "Nl" },
    { "Other_Number", "No" },
    { "Punctuation", "P" },
    { "punct", "P" },
    { "Connector_Punctuation", "Pc" },
    { "Dash_Punctuation", "Pd" },
    { "Open_Punctuation", "Ps" },
    { "Close_Punctuation", "Pe" },
    { "Initial_Punctuation", "Pi" },
    { "Final_Punctuation", "Pf" },
    { "Other_Punctuation", "Po" },
    { "Symbol", "S" },
    { "Math_Symbol", "Sm" },
    { "Currency_Symbol", "Sc" },
    { "Modifier_Symbol", "Sk" },
    { "Other_Symbol", "So" },
    { "Separator", "Z" },
    { "Space_Separator", "Zs" },
    { "Line_Separator", "Zl" },
    { "Paragraph_Separator", "Zp" },
    { "Other", "C" },
    { "Control", "Cc" },
    { "cntrl", "Cc" },
    { "Format", "Cf" },
    { "Surrogate", "Cs" },
    { "Private_Use", "Co" },
    { "Unassigned", "Cn" },
};

/* After "\p" or "\P": {Category}, {General_Category=Category}, {Script=Name}. */
static int put_property(struct translation *t, char letter)
{
    const char *close = t->at < t->end ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    char name[48], *value;

    if (!close || *t->at != '{' || close - t->at < 2 || close - t->at > (long)sizeof name)
        return refuse(t, "\\p needs a property in braces");
    snprintf(name, sizeof name, "%.*s", (int)(close - t->at - 1), t->at + 1);
    t->at = close + 1;
    value = strchr(name, '=');
    value = value ? value + 1 : name;
    for (size_t i = 0; i < ARRAY_LEN(categories); i++)
        if (strcmp(value, categories[i].name) == 0)
            value = memcpy(name, categories[i].code, strlen(categories[i].code) + 1);
    for (const char *p = value; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '&')
            return refuse(t, "\\p names no property");
    t->out += sprintf(t->out, "\\%c{%s}", letter, value);
    return 0;
}

static int put_escape(struct translation *t)
{
    char c, text[8];

    if (t->at == t->end)
        return refuse(t, "it ends in a backslash");
    c = *t->at++;
    if (c == 's' || (c == 'S' && !t->in_class)) {
        put(t, t->in_class ? "" : c == 's' ? "[" : "[^");
        put(t, SPACES);
        put(t, t->in_class ? "" : "]");
        return 0;
    }
    if (c == 'v')
        return put(t, "\\x0b"), 0;
    if (c == '0')
        return put(t, "\\x00"), 0;
    if (c == 'u')
        return put_code_point(t);
    if (c == 'p' || c == 'P')
        return put_property(t, c);
    if (c == 'x') {
        unsigned long code;
        if (!read_hex(t, 2, &code))
            return refuse(t, "\\x needs two hexadecimal digits");
        t->out += sprintf(t->out, "\\x{%lx}", code);
        return 0;
    }
    if (c == 'c') {
        if (t->at == t->end || !isalpha((unsigned char)*t->at))
            return refuse(t, "\\c needs a letter");
        t->out += sprintf(t->out, "\\x{%x}", (unsigned)*t->at++ & 0x1f);
        return 0;
    }
    if (c == 'k' && (t->at == t->end || *t->at != '<'))
        return refuse(t, "\\k needs the name of a group");
    if (isalnum((unsigned char)c) && !strchr("dDwWSbBfnrtk123456789", c)) {
        snprintf(text, sizeof text, "\\%c", c);
        return schema_fail(t->reason, "%s is no escape of ECMA 262", text);
    }
    *t->out++ = '\\';
    *t->out++ = c;
    return 0;
}

/* ECMA 262 knows (?: (?= (?! (?<= (?<! and (?<name>. */
static int check_group(struct translation *t)
{
    size_t left = (size_t)(t->end - t->at);

    if (left > 0 && t->at[0] == '*')
        return refuse(t, "nothing to repeat after (");
    if (left == 0 || t->at[0] != '?')
        return 0;
    if (left > 1 && strchr(":=!", t->at[1]))
        return 0;
    if (left > 2 && t->at[1] == '<' &&
        (t->at[2] == '=' || t->at[2] == '!' || isalpha((unsigned char)t->at[2]) || t->at[2] == '_'))
        return 0;
    return refuse(t, "the group after (? is not one of ECMA 262");
}

static int put_in_class(struct translation *t, char c)
{
    if (c == ']')
        t->in_class = false;
    if (c == '[')
        *t->out++ = '\\'; /* no POSIX classes */
    *t->out++ = c;
    return 0;
}

/* A whole {m}, {m,} or {m,n} at `at`; else the brace is an ordinary character. */
static bool is_interval(const struct translation *t)
{
    const char *p = t->at;

    while (p < t->end && isdigit((unsigned char)*p))
        p++;
    if (p == t->at)
        return false;
    if (p < t->end && *p == ',')
        p++;
    while (p < t->end && isdigit((unsigned char)*p))
        p++;
    return p < t->end && *p == '}';
}

static int put_plain(struct translation *t, char c)
{
    bool was_quantified = t->quantified, quantifier = c == '*' || c == '+' || c == '?';

    t->quantified = quantifier && !was_quantified;
    if (quantifier && was_quantified && c != '?')
        return refuse(t, "nothing to repeat");
    if (c == '.')
        return put(t, "[^\\n\\r\\x{2028}\\x{2029}]"), 0;
    if (c == '(') {
        if (check_group(t) < 0)
            return -1;
        *t->out++ = c;
        if (t->at < t->end && *t->at == '?') /* of the group, not a quantifier */
            *t->out++ = *t->at++;
        return 0;
    }
    if (c == '{' && is_interval(t)) {
        do
            *t->out++ = c;
        while ((c = *t->at++) != '}');
        t->quantified = true;
    } else if (c == '[') {
        t->in_class = true;
        *t->out++ = c;
        if (t->at < t->end && *t->at == '^')
            *t->out++ = *t->at++;
        return 0;
    } else if (c == '{') {
        *t->out++ = '\\';
    }
    *t->out++ = c;
    return 0;
}

/* The pattern for PCRE2; the caller frees it. */
static char *translate(const char *source, size_t length, struct reason reason)
{
    char *result = malloc(length * LONGEST + 1);
    struct translation t = { source, source + length, result, false, false, reason };
    int status = result ? 0 : schema_fail(reason, "out of memory");

    while (status == 0 && t.at < t.end) {
        char c = *t.at++;
        if (c == '\\') {
            t.quantified = false;
            status = put_escape(&t);
        } else if (c == 0) {
            put(&t, "\\x00");
        } else {
            status = t.in_class ? put_in_class(&t, c) : put_plain(&t, c);
        }
    }
    if (status < 0) {
        free(result);
        return NULL;
    }
    *t.out = 0;
    return result;
}

static pcre2_code *compile(const char *source, size_t length, struct reason reason)
{
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_MATCH_UNSET_BACKREF | PCRE2_DUPNAMES;
    pcre2_code *code;
    PCRE2_SIZE offset;
    char *translated;
    int error;

    if (length > SCHEMA_MAX_PATTERN) {
        schema_fail(reason, "the regular expression is longer than %d bytes", SCHEMA_MAX_PATTERN);
        return NULL;
    }
    translated = translate(source, length, reason);
    if (!translated)
        return NULL;
    code = pcre2_compile((PCRE2_SPTR)translated, PCRE2_ZERO_TERMINATED, options, &error, &offset, NULL);
    free(translated);
    if (!code) {
        PCRE2_UCHAR message[120] = "";
        pcre2_get_error_message(error, message, sizeof message);
        schema_fail(reason, "%s", (char *)message);
    }
    return code;
}

struct pattern *schema_pattern_new(const char *source, size_t length, struct reason reason)
{
    struct pattern *pattern = calloc(1, sizeof *pattern + length + 1);
    uint32_t options = 0;
    char why[160] = "out of memory";

    if (pattern)
        pattern->code = compile(source, length, (struct reason){ why, sizeof why });
    if (!pattern || !pattern->code) {
        free(pattern);
        schema_fail(reason, "the regular expression /%.*s/ is wrong: %s", (int)(length < 80 ? length : 80), source,
                    why);
        return NULL;
    }
    memcpy(pattern->source, source, length);
    pcre2_pattern_info(pattern->code, PCRE2_INFO_ALLOPTIONS, &options);
    pattern->anchored = options & PCRE2_ANCHORED;
    return pattern;
}

void schema_pattern_free(struct pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    free(pattern);
}

const char *schema_pattern_source(const struct pattern *pattern)
{
    return pattern->source;
}

struct pattern **schema_pattern_next(struct pattern *pattern)
{
    return &pattern->next;
}

struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *limits;
    size_t budget;
};

static struct matcher *matcher_new(void)
{
    struct matcher *matcher = calloc(1, sizeof *matcher);

    if (!matcher)
        return NULL;
    matcher->data = pcre2_match_data_create(1, NULL);
    matcher->limits = pcre2_match_context_create(NULL);
    if (!matcher->data || !matcher->limits) {
        schema_pattern_match_free(matcher);
        return NULL;
    }
    matcher->budget = MATCH_BUDGET;
    pcre2_set_depth_limit(matcher->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(matcher->limits, HEAP_LIMIT_KIB);
    return matcher;
}

void schema_pattern_match_free(void *match)
{
    struct matcher *matcher = match;

    if (!matcher)
        return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->limits);
    free(matcher);
}

static int match_within(const struct pattern *pattern, const char *text, size_t length, struct matcher *matcher,
                        size_t limit)
{
    pcre2_set_match_limit(matcher->limits, (uint32_t)limit);
    return pcre2_match(pattern->code, (PCRE2_SPTR)text, length, 0, PCRE2_NO_UTF_CHECK, matcher->data, matcher->limits);
}

/* PCRE2 counts anew from each starting place, so an unanchored pattern on a
 * long text gets less for each. Nor does it tell what a match took, so one that
 * needs more than the quick limit is charged all it may take. */
static int match_slowly(const struct pattern *pattern, const char *text, size_t length, struct matcher *matcher)
{
    size_t places = pattern->anchored ? 1 : length + 1, limit = MATCH_SHARE / places;

    limit = limit > MATCH_LIMIT ? MATCH_LIMIT : limit < MATCH_LIMIT_FLOOR ? MATCH_LIMIT_FLOOR : limit;
    if (limit * places > matcher->budget)
        return PCRE2_ERROR_MATCHLIMIT;
    matcher->budget -= limit * places;
    return match_within(pattern, text, length, matcher, limit);
}

enum pattern_outcome schema_pattern_match(const struct pattern *pattern, const char *text, size_t length, void **match)
{
    struct matcher *matcher = *match ? *match : (*match = matcher_new());
    int count;

    if (!matcher)
        return PATTERN_LIMIT;
    count = match_within(pattern, text, length, matcher, QUICK_LIMIT);
    if (count == PCRE2_ERROR_MATCHLIMIT)
        count = match_slowly(pattern, text, length, matcher);
    if (count >= 0)
        return PATTERN_MATCHES;
    return count == PCRE2_ERROR_NOMATCH ? PATTERN_DIFFERS : PATTERN_LIMIT;
}
