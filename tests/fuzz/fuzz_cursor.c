/* List cursors from outside: no text crashes the decoder, and what it takes is what the encoder makes. */
#include "http/api.h"

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096], storage[1024], again[4096];
    const char *fields[8];
    if (size == 0 || size >= sizeof text)
        return 0;
    size_t n = data[0] % 9; /* 0 to 8 fields */
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (cursor_decode(text, storage, sizeof storage, fields, n, NULL) == 0 &&
        (cursor_encode(fields, n, again, sizeof again) < 0 || strcmp(text, again) != 0))
        abort();
    /* The bytes as fields: there and back. */
    size_t half = (size - 1) / 2;
    char one[2048], two[2049];
    str_copy(one, half + 1, text);
    str_copy(two, sizeof two, text + strlen(one));
    const char *given[] = { one, two }, *back[2];
    if (cursor_encode(given, 2, again, sizeof again) == 0 &&
        cursor_decode(again, storage, sizeof storage, back, 2, NULL) == 0 &&
        (strcmp(back[0], one) != 0 || strcmp(back[1], two) != 0))
        abort();
    return 0;
}
