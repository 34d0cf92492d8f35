#include "integrations/docker/docker.h"

#include "base/str.h"
#include "integrations/docker/docker_ops.h"

#include <errno.h>

#define MATERIAL_MAX ((size_t)256 << 10) /* bytes of one file: an authority may be a whole bundle */

static int file_secret(const char *path, struct secret **ret, struct error *e)
{
    char *text = NULL;
    char words[96];
    size_t len = 0;
    int r = file_read(path, MATERIAL_MAX, &text, &len);
    if (r < 0)
        return error_set(e, ERR_VALIDATION, "The file %.200s cannot be read: %s.", path,
                         strerror_r(-r, words, sizeof(words)));
    *ret = secret_new(text, len);
    secret_wipe(text, len);
    free(text);
    return *ret ? 0 : error_errno(e, -ENOMEM, "Preparing the container engine");
}

int docker_material_read(const char *folder, const char *name, const struct docker_material *m, struct secret **ret,
                         struct error *e)
{
    size_t len;
    if (m->bytes) {
        const char *bytes = secret_reveal(m->bytes, &len);
        *ret = secret_new(bytes, len);
        return *ret ? 0 : error_errno(e, -ENOMEM, "Preparing the container engine");
    }
    if (m->file && *m->file)
        return file_secret(m->file, ret, e);
    if (!folder || !*folder)
        return 0;
    _cleanup_free_ char *path = str_printf("%s/%s", folder, name);
    return path ? file_secret(path, ret, e) : error_errno(e, -ENOMEM, "Preparing the container engine");
}

int docker_engine_open(const struct docker_engine_options *o, struct container_engine **ret, struct error *e)
{
    const char *host = o->host && *o->host ? o->host : DOCKER_HOST_DEFAULT;
    const char *folder = str_starts(host, "tcp://") ? o->certificates : NULL;
    _cleanup_secret_ struct secret *authority = NULL, *certificate = NULL, *key = NULL;
    int r = docker_material_read(folder, "ca.pem", &o->authority, &authority, e);
    if (r == 0)
        r = docker_material_read(folder, "cert.pem", &o->certificate, &certificate, e);
    if (r == 0)
        r = docker_material_read(folder, "key.pem", &o->key, &key, e);
    if (r < 0)
        return r;
    const struct docker_target_options to = { .host = host,
                                              .tls = authority || certificate || key,
                                              .authority = authority,
                                              .certificate = certificate,
                                              .key = key,
                                              .fingerprint = o->fingerprint,
                                              .known_hosts = o->known_hosts_file };
    return docker_engine_make(&to, NULL, ret, e);
}

int docker_engine_new(const char *host, struct container_engine **ret, struct error *e)
{
    return docker_engine_open(&(struct docker_engine_options){ .host = host }, ret, e);
}
