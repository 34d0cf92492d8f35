/* The parts of an image reference: [registry/]name[:tag][@digest]. Pure; thread-safe. */
#ifndef HB_IMAGE_NAME_H
#define HB_IMAGE_NAME_H

#include "base/error.h"

struct image_name {
    char name[513];   /* without tag and digest */
    char tag[129];    /* "" none */
    char digest[129]; /* "sha256:…", "" none */
};
/* `tag` may be NULL; one that disagrees with the reference's own is ERR_VALIDATION at /container/tag. */
int image_name_parse(const char *reference, const char *tag, struct image_name *ret, struct error *e);
/* name:tag or name@digest; "latest" when it has neither. */
void image_name_reference(const struct image_name *n, char *ret, size_t size);
/* The registry's host; "docker.io" when the name has none. */
void image_name_registry(const struct image_name *n, char *ret, size_t size);

#endif
