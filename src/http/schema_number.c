/*
 * Numbers and equality as JSON Schema sees them: 1 and 1.0 are one value. Whole
 * numbers are compared as such, never rounded through a double; multiples are
 * told on the shortest decimal form of a double, so 0.0075 is a multiple of 0.0001.
 */
#include "http/schema_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double int64_limit = 9223372036854775808.0;

static int compare_integer_real(json_int_t integer, double real)
{
    if (real >= int64_limit)
        return -1;
    if (real < -int64_limit)
        return 1;
    json_int_t whole = (json_int_t)real;
    if (integer != whole)
        return integer < whole ? -1 : 1;
    double rest = real - (double)whole;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

int schema_number_compare(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    if (json_is_integer(a))
        return compare_integer_real(json_integer_value(a), json_real_value(b));
    if (json_is_integer(b))
        return -compare_integer_real(json_integer_value(b), json_real_value(a));
    double x = json_real_value(a), y = json_real_value(b);
    return (x > y) - (x < y);
}

bool schema_number_is_integer(const json_t *number)
{
    return json_is_integer(number) ||
           (json_is_real(number) && trunc(json_real_value(number)) == json_real_value(number));
}

/* digits * 10^exponent, sign dropped. */
struct decimal {
    uint64_t digits;
    int exponent;
};

static void print_real(double real, char *text, size_t size)
{
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, size, "%.*g", precision, real);
        if (strtod(text, NULL) == real)
            return;
    }
}

static struct decimal decimal_of(const json_t *number)
{
    struct decimal decimal = { 0, 0 };
    char text[40];
    bool fraction = false;

    if (json_is_integer(number)) {
        json_int_t value = json_integer_value(number);
        decimal.digits = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        return decimal;
    }
    print_real(fabs(json_real_value(number)), text, sizeof text);
    for (const char *p = text; *p; p++) {
        if (*p >= '0' && *p <= '9') {
            decimal.digits = decimal.digits * 10 + (uint64_t)(*p - '0');
            decimal.exponent -= fraction;
        } else if (*p == 'e') {
            decimal.exponent += (int)strtol(p + 1, NULL, 10);
            break;
        } else {
            fraction = true; /* the point, whatever the locale writes for it */
        }
    }
    return decimal;
}

/* digits * 10^power modulo m; m < 2^64, so products stay within 128 bits. */
static uint64_t scaled_modulo(uint64_t digits, int power, uint64_t m)
{
    unsigned __int128 result = digits % m;

    while (power-- > 0 && result != 0)
        result = result * 10 % m;
    return (uint64_t)result;
}

bool schema_number_is_multiple(const json_t *number, const json_t *divisor)
{
    struct decimal n = decimal_of(number), d = decimal_of(divisor);
    unsigned __int128 scaled = d.digits;

    if (n.digits == 0)
        return true;
    if (d.digits == 0)
        return false;
    if (n.exponent >= d.exponent)
        return scaled_modulo(n.digits, n.exponent - d.exponent, d.digits) == 0;
    for (int power = d.exponent - n.exponent; power > 0; power--) {
        scaled *= 10;
        if (scaled > n.digits)
            return false;
    }
    return n.digits % scaled == 0;
}

void schema_number_print(const json_t *number, char *text, size_t size)
{
    if (json_is_integer(number))
        snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    else
        print_real(json_real_value(number), text, size);
}

static bool equal_arrays(const json_t *a, const json_t *b, long *steps)
{
    size_t count = json_array_size(a);

    if (count != json_array_size(b))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!schema_equal(json_array_get(a, i), json_array_get(b, i), steps))
            return false;
    return true;
}

static bool equal_objects(const json_t *a, const json_t *b, long *steps)
{
    if (json_object_size(a) != json_object_size(b))
        return false;
    for (void *i = json_object_iter((json_t *)a); i; i = json_object_iter_next((json_t *)a, i)) {
        const json_t *other = json_object_get(b, json_object_iter_key(i));
        if (!other || !schema_equal(json_object_iter_value(i), other, steps))
            return false;
    }
    return true;
}

bool schema_equal(const json_t *a, const json_t *b, long *steps)
{
    if (--*steps <= 0)
        return false;
    if (json_is_number(a) && json_is_number(b))
        return schema_number_compare(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    switch (json_typeof(a)) {
    case JSON_STRING:
        return json_string_length(a) == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
    case JSON_ARRAY: return equal_arrays(a, b, steps);
    case JSON_OBJECT: return equal_objects(a, b, steps);
    default: return true;
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static uint64_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return mix(hash, length);
}

static uint64_t hash_number(const json_t *number)
{
    double real = json_number_value(number);
    uint64_t bits;

    if (json_is_integer(number))
        return mix(1, (uint64_t)json_integer_value(number));
    if (trunc(real) == real && real >= -int64_limit && real < int64_limit)
        return mix(1, (uint64_t)(json_int_t)real);
    memcpy(&bits, &real, sizeof bits);
    return mix(2, bits);
}

uint64_t schema_hash(const json_t *value)
{
    uint64_t hash = (uint64_t)json_typeof(value) + 16;

    if (json_is_number(value))
        return hash_number(value);
    if (json_is_string(value))
        return hash_bytes(json_string_value(value), json_string_length(value));
    if (json_is_array(value))
        for (size_t i = 0; i < json_array_size(value); i++)
            hash = mix(hash, schema_hash(json_array_get(value, i)));
    if (json_is_object(value))
        for (void *i = json_object_iter((json_t *)value); i; i = json_object_iter_next((json_t *)value, i)) {
            const char *key = json_object_iter_key(i);
            hash += mix(hash_bytes(key, strlen(key)), schema_hash(json_object_iter_value(i)));
        }
    return hash;
}
