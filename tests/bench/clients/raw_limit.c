/*
 * What the machine needs at the least for the bytes that scripts/bench moves, beside which the
 * broker's CPU time is put:
 *
 *   raw_limit receive FILE BYTES CHUNK
 *
 * receives BYTES over loopback in pieces of CHUNK, CRC32C over each, one write to FILE per piece;
 *
 *   raw_limit send FILE
 *
 * sends FILE over loopback with sendfile.
 *
 * The other end is a child process whose time is not counted. Prints CPU seconds and bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "raw_limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_loopback(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof(*address);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(*address)) != 0 ||
        listen(fd, 1) != 0 || getsockname(fd, (struct sockaddr *)address, &len) != 0)
        die("listen");
    return fd;
}

static void peer(const struct sockaddr_in *address, long long bytes, size_t chunk)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        die("connect");
    char *room = calloc(1, chunk);
    for (long long done = 0; bytes < 0 || done < bytes;) {
        ssize_t n = bytes < 0 ? read(fd, room, chunk) : write(fd, room, chunk);
        if (n <= 0)
            break;
        done += n;
    }
    exit(0);
}

static void print_cpu(long long bytes)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%.6f %lld\n",
           (double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec +
               (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
           bytes);
}

static void receive(int fd, const char *path, long long bytes, size_t chunk)
{
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (file < 0)
        die(path);
    char *room = malloc(chunk);
    unsigned crc = 0;
    for (long long done = 0; done < bytes;) {
        size_t have = 0;
        while (have < chunk) {
            ssize_t n = read(fd, room + have, chunk - have);
            if (n <= 0)
                die("read");
            have += (size_t)n;
        }
        crc ^= crc32_iscsi((unsigned char *)room, (int)chunk, ~0U);
        if (write(file, room, chunk) != (ssize_t)chunk)
            die("write");
        done += (long long)chunk;
    }
    fprintf(stderr, "crc %08x\n", crc);
    print_cpu(bytes);
}

static void send_file(int fd, const char *path)
{
    int file = open(path, O_RDONLY);
    struct stat st;
    if (file < 0 || fstat(file, &st) != 0)
        die(path);
    off_t at = 0;
    while (at < st.st_size)
        if (sendfile(fd, file, &at, (size_t)(st.st_size - at)) <= 0)
            die("sendfile");
    print_cpu((long long)st.st_size);
}

int main(int argc, char **argv)
{
    int sends = argc == 3 && strcmp(argv[1], "send") == 0;
    if (!sends && !(argc == 5 && strcmp(argv[1], "receive") == 0)) {
        fprintf(stderr, "usage: raw_limit receive FILE BYTES CHUNK | raw_limit send FILE\n");
        return 2;
    }
    struct sockaddr_in address;
    int listener = listen_loopback(&address);
    size_t chunk = sends ? 1 << 20 : (size_t)atoll(argv[4]);
    long long bytes = sends ? -1 : atoll(argv[3]) / (long long)chunk * (long long)chunk;
    if (fork() == 0)
        peer(&address, bytes, chunk);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        die("accept");
    if (sends)
        send_file(fd, argv[2]);
    else
        receive(fd, argv[2], bytes, chunk);
    close(fd);
    wait(NULL);
    return 0;
}
