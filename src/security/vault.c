#include "security/vault.h"

#include "base/id.h"
#include "base/str.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_LEN crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN crypto_aead_xchacha20poly1305_ietf_ABYTES

struct vault {
    struct secret *master;
};

static int check_mode(const char *path, struct error *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(e, -errno, "%s", path);
    if (st.st_mode & 077)
        return error_set(e, ERR_CONFLICT,
                         "%s can be read by others (mode %03o): it protects every secret. Set it to 0600.", path,
                         (unsigned)st.st_mode & 0777);
    return 0;
}

static int load(const char *path, struct secret **ret, struct error *e)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int r = file_read(path, 4096, &text, &len);
    if (r < 0)
        return r == -ENOENT ? r : error_errno(e, r, "Cannot read %s", path);
    uint8_t key[KEY_LEN];
    if (hex_decode(str_trim(text), key, KEY_LEN) < 0)
        r = error_set(e, ERR_CONFLICT, "%s is not a master key (64 hex digits). Put back the file from your backup.",
                      path);
    else
        r = (*ret = secret_new(key, KEY_LEN)) ? check_mode(path, e) : error_set(e, ERR_INTERNAL, "No memory.");
    secret_wipe(key, sizeof key);
    secret_wipe(text, len);
    return r;
}

static int make(const char *path, struct secret **ret, struct error *e)
{
    uint8_t key[KEY_LEN];
    char hex[2 * KEY_LEN + 2];
    random_bytes(key, sizeof key);
    hex_encode(key, sizeof key, hex);
    hex[2 * KEY_LEN] = '\n';
    int r = file_write_atomic(path, hex, sizeof hex - 1, 0600);
    if (r < 0)
        r = error_errno(e, r, "Cannot write %s", path);
    else if (!(*ret = secret_new(key, sizeof key)))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    secret_wipe(key, sizeof key);
    secret_wipe(hex, sizeof hex);
    return r;
}

int vault_open(const char *directory, struct vault **ret, struct error *e)
{
    _cleanup_free_ char *path = str_printf("%s/hub.secret", directory);
    struct vault *v = calloc(1, sizeof *v);
    if (!path || !v) {
        free(v);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    int r = load(path, &v->master, e);
    if (r == -ENOENT)
        r = make(path, &v->master, e);
    if (r < 0) {
        vault_close(v);
        return r;
    }
    *ret = v;
    return 0;
}

void vault_close(struct vault *v)
{
    if (!v)
        return;
    secret_free(v->master);
    free(v);
}

int vault_seal(const struct vault *v, const char *context, const void *bytes, size_t len, uint8_t **ret,
               size_t *ret_len, struct error *e)
{
    uint8_t *out = malloc(NONCE_LEN + len + TAG_LEN);
    unsigned long long sealed = 0;
    if (!out)
        return error_set(e, ERR_INTERNAL, "No memory.");
    random_bytes(out, NONCE_LEN);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_LEN, &sealed, bytes, len, (const uint8_t *)context,
                                                     strlen(context), NULL, out,
                                                     (const uint8_t *)secret_reveal(v->master, NULL));
    *ret = out;
    *ret_len = NONCE_LEN + (size_t)sealed;
    return 0;
}

int vault_unseal(const struct vault *v, const char *context, const void *sealed, size_t len, struct secret **ret,
                 struct error *e)
{
    if (!sealed || len < NONCE_LEN + TAG_LEN)
        return error_set(e, ERR_INTERNAL, "A sealed value (%s) is too short to be one.", context);
    size_t plain_len = len - NONCE_LEN - TAG_LEN;
    uint8_t *plain = malloc(plain_len + 1);
    if (!plain)
        return error_set(e, ERR_INTERNAL, "No memory.");
    const uint8_t *in = sealed;
    int r = 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, in + NONCE_LEN, len - NONCE_LEN,
                                                   (const uint8_t *)context, strlen(context), in,
                                                   (const uint8_t *)secret_reveal(v->master, NULL)) < 0)
        r = error_set(e, ERR_INTERNAL,
                      "A sealed value (%s) does not open: hub.secret is not the one it was sealed with.", context);
    else if (!(*ret = secret_new(plain, plain_len)))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    secret_wipe(plain, plain_len);
    free(plain);
    return r;
}

void vault_hash(const struct vault *v, const char *context, const void *bytes, size_t len, uint8_t ret[VAULT_HASH_LEN])
{
    crypto_generichash_state s;
    size_t key_len = 0;
    const char *key = secret_reveal(v->master, &key_len);
    (void)crypto_generichash_init(&s, (const uint8_t *)key, key_len, VAULT_HASH_LEN);
    (void)crypto_generichash_update(&s, (const uint8_t *)context, strlen(context) + 1);
    (void)crypto_generichash_update(&s, bytes, len);
    (void)crypto_generichash_final(&s, ret, VAULT_HASH_LEN);
}
