#include "tools/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void fill(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void signals_open(struct signals *signals)
{
    sigset_t set;
    fill(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *signals = (struct signals){.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
}

void signals_close(struct signals *signals)
{
    sigset_t set;
    fill(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    if (signals->fd >= 0)
        close(signals->fd);
    signals->fd = -1;
}

int signals_take(struct signals *signals)
{
    struct signalfd_siginfo info;
    if (signals->taken == 0 && signals->fd >= 0 &&
        read(signals->fd, &info, sizeof(info)) == sizeof(info)) {
        signals->taken = (int)info.ssi_signo;
        signals_close(signals);
    }
    return signals->taken;
}
