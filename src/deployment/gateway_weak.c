#include "gateway/gateway.h"
#define W __attribute__((weak))
W int gateway_probe_start(struct gateway *g, const char *s, const struct gateway_probe_options *o, struct gateway_probe **ret, struct error *e){ (void)g;(void)s;(void)o;(void)ret; return error_set(e, ERR_UNAVAILABLE, "no"); }
W void gateway_probe_phase(struct gateway_probe *p, enum probe_phase phase){(void)p;(void)phase;}
W void gateway_probe_read(struct gateway_probe *p, struct gateway_figures ret[PROBE_PHASES]){(void)p;(void)ret;}
W json_t *gateway_probe_points(struct gateway_probe *p){(void)p;return NULL;}
W void gateway_probe_stop(struct gateway_probe *p){(void)p;}
W bool gateway_discovers(struct gateway *g){(void)g;return false;}
W int gateway_register(struct gateway *g, const struct discovery_instance *i, struct error *e){(void)g;(void)i;(void)e;return 0;}
W int gateway_deregister(struct gateway *g, const char *i, struct error *e){(void)g;(void)i;(void)e;return 0;}
