/* The formats that are checked when a caller asks for it; others only annotate. */
#include "http/schema_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Exactly `count` digits at *at, which moves past them; -1 when they are not there. */
static int digits(const char **at, const char *end, int count)
{
    int value = 0;

    if (end - *at < count)
        return -1;
    for (; count > 0; count--, (*at)++) {
        if (!is_digit(**at))
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool skip(const char **at, const char *end, char c)
{
    if (*at == end || **at != c)
        return false;
    (*at)++;
    return true;
}

/* ---- RFC 3339 ---- */

static bool scan_date(const char **at, const char *end)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year = digits(at, end, 4), month, day;

    if (year < 0 || !skip(at, end, '-') || (month = digits(at, end, 2)) < 1 || month > 12)
        return false;
    if (!skip(at, end, '-') || (day = digits(at, end, 2)) < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap);
}

/* Minutes east of UTC, or -10000. */
static int scan_offset(const char **at, const char *end)
{
    int sign, hours, minutes;

    if (skip(at, end, 'Z') || skip(at, end, 'z'))
        return 0;
    sign = skip(at, end, '+') ? 1 : skip(at, end, '-') ? -1 : 0;
    hours = digits(at, end, 2);
    if (sign == 0 || hours < 0 || hours > 23 || !skip(at, end, ':'))
        return -10000;
    minutes = digits(at, end, 2);
    return minutes < 0 || minutes > 59 ? -10000 : sign * (hours * 60 + minutes);
}

static bool scan_time(const char **at, const char *end)
{
    int hour = digits(at, end, 2), minute, second, offset;

    if (hour < 0 || hour > 23 || !skip(at, end, ':') || (minute = digits(at, end, 2)) < 0 || minute > 59)
        return false;
    if (!skip(at, end, ':') || (second = digits(at, end, 2)) < 0 || second > 60)
        return false;
    if (skip(at, end, '.')) {
        if (digits(at, end, 1) < 0)
            return false;
        while (*at < end && is_digit(**at))
            (*at)++;
    }
    offset = scan_offset(at, end);
    if (offset == -10000)
        return false;
    /* a leap second falls on the last minute of a day in UTC only */
    return second < 60 || (hour * 60 + minute - offset + 2880) % 1440 == 1439;
}

static bool is_date(const char *text, size_t length)
{
    const char *at = text, *end = text + length;

    return scan_date(&at, end) && at == end;
}

static bool is_time(const char *text, size_t length)
{
    const char *at = text, *end = text + length;

    return scan_time(&at, end) && at == end;
}

static bool is_date_time(const char *text, size_t length)
{
    const char *at = text, *end = text + length;

    return scan_date(&at, end) && (skip(&at, end, 'T') || skip(&at, end, 't')) && scan_time(&at, end) && at == end;
}

/* One or more "<digits><unit>" whose units follow each other without a gap. */
static bool scan_units(const char **at, const char *end, const char *units)
{
    const char *last = NULL, *unit;

    while (*at < end && is_digit(**at)) {
        while (*at < end && is_digit(**at))
            (*at)++;
        unit = *at < end && **at ? strchr(units, **at) : NULL;
        if (!unit || (last && unit != last + 1))
            return false;
        last = unit;
        (*at)++;
    }
    return last != NULL;
}

static bool is_duration(const char *text, size_t length)
{
    const char *at = text, *end = text + length;

    if (!skip(&at, end, 'P') || at == end)
        return false;
    if (end[-1] == 'W')
        return scan_units(&at, end, "W") && at == end;
    if (*at != 'T' && !scan_units(&at, end, "YMD"))
        return false;
    if (skip(&at, end, 'T') && !scan_units(&at, end, "HMS"))
        return false;
    return at == end;
}

/* ---- names and addresses ---- */

static bool is_label(const char *text, size_t length)
{
    if (length < 1 || length > 63 || text[0] == '-' || text[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_alnum(text[i]) && text[i] != '-')
            return false;
    return true;
}

static bool is_hostname(const char *text, size_t length)
{
    if (length < 1 || length > 253)
        return false;
    for (size_t start = 0, i = 0; i <= length; i++) {
        if (i < length && text[i] != '.')
            continue;
        if (!is_label(text + start, i - start))
            return false;
        start = i + 1;
    }
    return true;
}

static bool parses_as(int family, const char *text, size_t length)
{
    unsigned char address[16];
    char copy[64];

    if (length >= sizeof copy || memchr(text, 0, length))
        return false;
    memcpy(copy, text, length);
    copy[length] = 0;
    return inet_pton(family, copy, address) == 1;
}

static bool is_ipv4(const char *text, size_t length)
{
    return parses_as(AF_INET, text, length);
}

static bool is_ipv6(const char *text, size_t length)
{
    return parses_as(AF_INET6, text, length);
}

static bool is_quoted_local(const char *text, size_t length)
{
    if (length < 2 || text[0] != '"' || text[length - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < length; i++) {
        if (text[i] == '\\' && ++i + 1 >= length)
            return false;
        if ((text[i] == '"' && text[i - 1] != '\\') || (unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~')
            return false;
    }
    return true;
}

static bool is_dot_atom(const char *text, size_t length)
{
    if (length == 0 || text[0] == '.' || text[length - 1] == '.')
        return false;
    for (size_t i = 0; i < length; i++) {
        bool atom = is_alnum(text[i]) || (text[i] && strchr("!#$%&'*+-/=?^_`{|}~", text[i]));
        if (!atom && (text[i] != '.' || text[i - 1] == '.'))
            return false;
    }
    return true;
}

static bool is_email(const char *text, size_t length)
{
    const char *at = memrchr(text, '@', length), *domain;
    size_t local, rest;

    if (!at)
        return false;
    local = (size_t)(at - text);
    domain = at + 1;
    rest = length - local - 1;
    if (local > 64 || !(is_dot_atom(text, local) || is_quoted_local(text, local)))
        return false;
    if (rest > 2 && domain[0] == '[' && domain[rest - 1] == ']') {
        if (rest > 7 && strncasecmp(domain + 1, "IPv6:", 5) == 0)
            return is_ipv6(domain + 6, rest - 7);
        return is_ipv4(domain + 1, rest - 2);
    }
    return is_hostname(domain, rest);
}

static bool is_uuid(const char *text, size_t length)
{
    if (length != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

/* ---- RFC 3986 ---- */

static bool uri_chars(const char *text, size_t length, const char *extra)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '%') {
            if (i + 2 >= length || !isxdigit((unsigned char)text[i + 1]) || !isxdigit((unsigned char)text[i + 2]))
                return false;
            i += 2;
        } else if (!is_alnum(text[i]) &&
                   (!text[i] || (!strchr("-._~!$&'()*+,;=", text[i]) && !strchr(extra, text[i])))) {
            return false;
        }
    }
    return true;
}

static bool uri_host(const char *text, size_t length)
{
    if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
        if (text[1] == 'v' || text[1] == 'V') {
            const char *dot = memchr(text, '.', length - 1);
            return dot && dot > text + 2 && dot < text + length - 2 && uri_chars(text + 2, length - 3, ":");
        }
        return is_ipv6(text + 1, length - 2);
    }
    return uri_chars(text, length, "");
}

static bool uri_authority(const char *text, size_t length)
{
    const char *user_end = memrchr(text, '@', length), *end = text + length, *port;

    if (user_end) {
        if (!uri_chars(text, (size_t)(user_end - text), ":"))
            return false;
        text = user_end + 1;
    }
    port = end;
    while (port > text && is_digit(port[-1]))
        port--;
    if (port > text && port[-1] == ':')
        end = port - 1;
    return uri_host(text, (size_t)(end - text));
}

static size_t uri_scheme(const char *text, size_t length)
{
    size_t i = 0;

    if (length == 0 || !isalpha((unsigned char)text[0]))
        return 0;
    while (i < length && (is_alnum(text[i]) || text[i] == '+' || text[i] == '-' || text[i] == '.'))
        i++;
    return i < length && text[i] == ':' ? i + 1 : 0;
}

static size_t until(const char *text, size_t length, const char *stops)
{
    size_t i = 0;

    while (i < length && !(text[i] && strchr(stops, text[i])))
        i++;
    return i;
}

/* All after the scheme; a path there must not look like a scheme when none came before. */
static bool uri_rest(const char *text, size_t length, bool relative)
{
    size_t part;

    if (length >= 2 && text[0] == '/' && text[1] == '/') {
        part = until(text + 2, length - 2, "/?#");
        if (!uri_authority(text + 2, part))
            return false;
        text += part + 2;
        length -= part + 2;
        relative = false;
    }
    part = until(text, length, "?#");
    if (!uri_chars(text, part, ":@/") || (relative && memchr(text, ':', until(text, part, "/"))))
        return false;
    text += part;
    length -= part;
    if (length > 0 && text[0] == '?') {
        part = until(text, length, "#");
        if (!uri_chars(text + 1, part - 1, ":@/?"))
            return false;
        text += part;
        length -= part;
    }
    return length == 0 || uri_chars(text + 1, length - 1, ":@/?");
}

static bool is_uri(const char *text, size_t length)
{
    size_t scheme = uri_scheme(text, length);

    return scheme > 0 && uri_rest(text + scheme, length - scheme, false);
}

static bool is_uri_reference(const char *text, size_t length)
{
    return is_uri(text, length) || uri_rest(text, length, true);
}

/* ---- others ---- */

static bool is_json_pointer(const char *text, size_t length)
{
    if (length > 0 && text[0] != '/')
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] == '~' && (i + 1 == length || (text[i + 1] != '0' && text[i + 1] != '1')))
            return false;
    return true;
}

static bool is_regex(const char *text, size_t length)
{
    struct pattern *pattern = schema_pattern_new(text, length, (struct reason){ NULL, 0 });

    schema_pattern_free(pattern);
    return pattern != NULL;
}

static const struct format formats[] = {
    { "date-time", is_date_time, "must be a date and time such as 2026-01-31T12:00:00Z" },
    { "date", is_date, "must be a date such as 2026-01-31" },
    { "time", is_time, "must be a time such as 12:00:00Z" },
    { "duration", is_duration, "must be a duration such as P1DT12H" },
    { "email", is_email, "must be an e-mail address" },
    { "hostname", is_hostname, "must be a host name" },
    { "ipv4", is_ipv4, "must be an IPv4 address" },
    { "ipv6", is_ipv6, "must be an IPv6 address" },
    { "uri", is_uri, "must be a URI with its scheme" },
    { "uri-reference", is_uri_reference, "must be a URI, whole or relative" },
    { "uuid", is_uuid, "must be a UUID" },
    { "json-pointer", is_json_pointer, "must be a JSON Pointer" },
    { "regex", is_regex, "must be a regular expression" },
};

const struct format *schema_format_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}
