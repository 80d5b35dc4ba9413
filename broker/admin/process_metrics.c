#include "broker/admin/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The start of a small file of /proc, with a zero byte behind it; "" when it cannot be read. */
static void read_proc(const char *path, char *text, size_t room)
{
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, room - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
}

/* /proc/self/stat after the command's name, which may hold anything: field 3 is the first. */
static void write_stat(struct metrics_writer *w)
{
    char text[1024];
    read_proc("/proc/self/stat", text, sizeof(text));
    const char *at = strrchr(text, ')');
    unsigned long long started = 0, virtual_bytes = 0;
    long long resident = 0;
    if (at == NULL || sscanf(at + 1,
                             " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                             "%*d %*d %*d %llu %llu %lld",
                             &started, &virtual_bytes, &resident) != 3)
        return;
    metrics_write_plain(w, METRIC_GAUGE, "process_virtual_memory_bytes", NULL, 0,
                        (double)virtual_bytes);
    metrics_write_plain(w, METRIC_GAUGE, "process_resident_memory_bytes", NULL, 0,
                        (double)resident * (double)sysconf(_SC_PAGESIZE));
    struct timespec wall, since_boot;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    metrics_write_plain(w, METRIC_GAUGE, "process_start_time_seconds", NULL, 0,
                        (double)(wall.tv_sec - since_boot.tv_sec) +
                            (double)started / (double)sysconf(_SC_CLK_TCK));
}

static void write_cpu(struct metrics_writer *w)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    metrics_write_plain(w, METRIC_COUNTER, "process_cpu_seconds_total", NULL, 0, seconds);
}

static void write_descriptors(struct metrics_writer *w)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics_write_plain(w, METRIC_GAUGE, "process_max_fds", NULL, 0, (double)limit.rlim_cur);
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return;
    int count = -1; /* the directory's own */
    for (struct dirent *d; (d = readdir(dir)) != NULL;)
        count += d->d_name[0] != '.';
    closedir(dir);
    metrics_write_plain(w, METRIC_GAUGE, "process_open_fds", NULL, 0, count);
}

static void write_disk(struct metrics_writer *w)
{
    static const struct {
        const char *key, *mbean;
    } fields[] = {
        {"\nread_bytes: ", "kafka.server:type=KafkaServer,name=linux-disk-read-bytes"},
        {"\nwrite_bytes: ", "kafka.server:type=KafkaServer,name=linux-disk-write-bytes"},
    };
    char text[1024];
    read_proc("/proc/self/io", text, sizeof(text));
    for (size_t i = 0; i < 2; i++) {
        const char *at = strstr(text, fields[i].key);
        long long value;
        if (at != NULL && sscanf(at + strlen(fields[i].key), "%lld", &value) == 1)
            metrics_write(w, METRIC_GAUGE, fields[i].mbean, NULL, 0, (double)value);
    }
}

void process_metrics_collect(void *ctx, struct metrics_writer *w)
{
    write_cpu(w);
    write_stat(w);
    write_descriptors(w);
    write_disk(w);
}
