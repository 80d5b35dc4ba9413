/* zookeeper-server-start and -stop, for scripts that still call them. */
#include "tools/tool.h"

int zookeeper_start_main(int argc, char **argv)
{
    puts("No ZooKeeper is needed: the servers keep their metadata themselves. Start one with "
         "kafka-server-start.sh.");
    return 0;
}

int zookeeper_stop_main(int argc, char **argv)
{
    puts("There is no ZooKeeper to stop: the servers keep their metadata themselves.");
    return 0;
}
