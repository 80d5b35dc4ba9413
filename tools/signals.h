/*
 * SIGINT and SIGTERM as something to wait for: a tool that is stopped tells what it did before it
 * goes. They are blocked from signals_open on and wait in a descriptor; once one was taken the
 * next kills as usual, so that nobody is kept waiting. One thread.
 */
#ifndef KRAFTD_TOOLS_SIGNALS_H
#define KRAFTD_TOOLS_SIGNALS_H

struct signals {
    int fd;
    int taken; /* the signal that came; 0: none */
};

void signals_open(struct signals *signals);
void signals_close(struct signals *signals);
/* Looks without waiting. The number of the signal that came, now or before; 0: none. */
int signals_take(struct signals *signals);

#endif
