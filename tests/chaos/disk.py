"""The disks of a chaos run: a file system of its own for each node where root allows, in a file
that is mounted through a loop device, so that it can be full, fail, or lose what was not synced.

`fail` shuts the file system down as a broken cable would: from then on every call fails, and what
had not been synced is gone. `repair` brings back what had been.
"""

import fcntl
import glob
import os
import re
import shutil
import struct

from common import Failure, Unhealthy, run, until

EXT4_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
WITHOUT_THE_JOURNAL = 2
OWNER = "pid"  # a file in the folder of a run


def can_mount(folder):
    """None, or why there can be no file system of their own for the nodes."""
    if os.geteuid() != 0:
        return "not root"
    if not shutil.which("mkfs.ext4"):
        return "no mkfs.ext4 (package e2fsprogs)"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices"
    disk = LoopDisk(os.path.join(folder, "trial"), 32)
    try:
        disk.create()
        return None
    except (Failure, OSError) as failure:
        return str(failure)
    finally:
        disk.close()
        shutil.rmtree(os.path.join(folder, "trial"), ignore_errors=True)


def remove_leftovers():
    """Mounts of runs that were killed with SIGKILL, by the pid that stands beside their nodes."""
    with open("/proc/mounts", encoding="utf-8") as file:
        places = [line.split()[1] for line in file]
    for place in places:
        owner = os.path.join(os.path.dirname(os.path.dirname(place)), OWNER)
        if re.search(r"/node-\d+/disk$", place) and os.path.exists(owner):
            with open(owner, encoding="ascii") as file:
                if not os.path.exists(f"/proc/{file.read().strip()}"):
                    run("umount", place, ok=False)


class LoopDisk:
    """ext4 in a sparse file."""

    can_fail = True

    def __init__(self, folder, megabytes):
        self.folder, self.image = os.path.join(folder, "disk"), os.path.join(folder, "image")
        self.megabytes = megabytes

    def create(self):
        os.makedirs(self.folder, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(self.megabytes << 20)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1",
            self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.folder)

    def unmount(self):
        """Waits for the processes that still end."""
        if os.path.ismount(self.folder):
            until(f"{self.folder} can be unmounted", 20,
                  lambda: run("umount", self.folder, ok=False) is not None
                  and not os.path.ismount(self.folder), error=Failure)

    def fill(self):
        """Takes all the room that is left."""
        with open(os.path.join(self.folder, "ballast"), "wb") as file:
            step = 1 << 24
            size = 0
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
                except OSError:
                    step //= 2

    def drain(self):
        try:
            os.unlink(os.path.join(self.folder, "ballast"))
        except OSError:
            pass

    def fail(self):
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_SHUTDOWN, struct.pack("I", WITHOUT_THE_JOURNAL))
        finally:
            os.close(handle)

    def repair(self):
        """After `fail`; nobody uses it. What is unmounted here lives on, shut down, while another
        mount namespace of the machine has it too, as a container that began meanwhile: mounting the
        image would bring that back. A copy of it is a file system of its own."""
        self.unmount()
        try:
            until(f"{self.image} is let go", 2, lambda: not run("losetup", "-j", self.image))
        except Unhealthy:
            old = self.image
            self.image += "-again"
            run("cp", "--sparse=always", old, self.image)
            os.unlink(old)
        self.mount()

    def wipe(self):
        """As a new disk. Nobody uses it."""
        self.unmount()
        os.unlink(self.image)
        self.create()

    def room_mb(self):
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize >> 20

    def keep(self):
        """Copies what is on it beside it, for people to look at. Nobody uses it any more."""
        try:
            self.unmount()
            self.mount()
            for path in glob.glob(os.path.join(self.folder, "data*")):
                shutil.copytree(path, os.path.join(os.path.dirname(self.folder),
                                                   os.path.basename(path)))
        except (Failure, OSError, shutil.Error) as error:
            print(f"chaos: not all of {self.folder} could be kept: {str(error)[:200]}")

    def close(self):
        if os.path.ismount(self.folder):
            run("umount", self.folder, ok=False)
            if os.path.ismount(self.folder):
                run("umount", "-l", self.folder, ok=False)
        if not os.path.ismount(self.folder):
            if os.path.exists(self.image):
                os.unlink(self.image)


class PlainDisk:
    """A directory: it can be wiped and nothing else."""

    can_fail = False

    def __init__(self, folder):
        self.folder = os.path.join(folder, "disk")

    def create(self):
        os.makedirs(self.folder, exist_ok=True)

    def wipe(self):
        shutil.rmtree(self.folder)
        self.create()

    def room_mb(self):
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize >> 20

    def keep(self):
        pass

    def close(self):
        pass
