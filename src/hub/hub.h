/* The hub: `hbcloud serve`. Wires the rooms, runs until SIGTERM or SIGINT, then drains.
 * Threads: called once, from main. */
#ifndef HB_HUB_HUB_H
#define HB_HUB_HUB_H

/* `argv` holds what follows `serve`. Returns the exit status: 0 ended in order, 1 failed, 2 usage. */
int hub_main(int argc, char **argv);

#endif
