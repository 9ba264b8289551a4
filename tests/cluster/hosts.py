"""Machines made of namespaces: each has a network, a file system, a process table and an sshd of its own.

They live in a world, a process and network namespace with a bridge in it, and nothing of theirs has a name outside:
processes, mounts and links end with the world's first process, and that ends with the process of the test, however
that ends. So there is nothing to clean up.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).parents[2]
HOME = pathlib.Path("/root")
TOOLS = ("unshare", "nsenter", "setpriv", "pivot_root", "ip", "ssh", "ssh-keygen", "sshd", "rsync", "git")
PATH = f"{sys.prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PLAIN = {"HOME": str(HOME), "PATH": PATH, "LANG": "C.UTF-8", "TERM": "xterm", "USER": "root"}

APART = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
TRIAL = """
ip link add br0 type bridge && ip link add veth0 type veth peer name veth1 &&
mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir a b c &&
mount -t overlay overlay -o lowerdir=/,upperdir=a,workdir=b c
"""

# The machines have this machine's file system but for the project and the home directory. What of these they have all
# the same, read-only, is Python and its environment.
KEPT = [place for place in (sys.prefix, sys.base_prefix) if any(map(pathlib.Path(place).is_relative_to, (HOME, ROOT)))]

# The first process of a machine makes itself a root file system and becomes its sshd. What is written is in memory, but
# for the home directory, which outlives it. The route leads nowhere; without one Ray takes 127.0.0.1 for its address.
BOOT = r"""
set -eu
name=$1 address=$2 disk=$3 project=$4 kept=$5
mount -t tmpfs tmpfs "$disk/memory"
mkdir "$disk/memory/upper" "$disk/memory/work" "$disk/memory/root"
cd "$disk/memory"
mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
for each in /dev/shm /run /tmp "$project"; do mkdir -p ".$each"; mount -t tmpfs tmpfs ".$each"; done
mount --bind "$disk/home" "./$HOME"
for each in $kept; do mkdir -p ".$each"; mount --bind "$each" ".$each"; mount -o remount,ro,bind ".$each"; done
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
hostname "$name"
echo "127.0.0.1 localhost $name" > /etc/hosts
: > /etc/resolv.conf
mkdir -m 755 /run/sshd
ssh-keygen -q -t ed25519 -N "" -f /run/host_key
until ip link show eth0 > /run/link 2>&1; do sleep 0.05; done
ip link set lo up
ip link set eth0 up
ip address add "$address/24" dev eth0
ip route add default via 10.77.0.254
exec /usr/sbin/sshd -D -e -f /dev/null -h /run/host_key
"""


def missing():
    """Why machines cannot be made here; None where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    if absent := [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]:
        return f"needs {', '.join(absent)}"
    tried = subprocess.run(["unshare", *APART, "sh", "-c", TRIAL], env=PLAIN, capture_output=True, text=True)
    return f"needs namespaces and mounts of its own: {tried.stderr.strip()}" if tried.returncode else None


@dataclass
class Machine:
    """A machine on the bridge; off until it is started.

    Attributes:
        name: Its name.
        address: On the bridge.
        world: The first process of the world.
        folder: For its disk, and for what is said on it.
        pid: Its first process, in the numbering of the test; None while it is off.
    """

    name: str
    address: str
    world: int
    folder: pathlib.Path
    pid: int | None = None
    _begun: list[subprocess.Popen] = field(default_factory=list, repr=False)

    def start(self):
        """Boot it, and connect it to the bridge."""
        given = [self.name, self.address, self.folder, ROOT, " ".join(KEPT)]
        command = [*inside(self.world), "unshare", *APART, "bash", "-c", BOOT, "boot", *map(str, given)]
        boot, said = self._begin(command)

        def first(*names):
            assert boot.poll() is None, said.read_text()
            inner = [one for middle in children(boot.pid) for one in children(middle)]
            return next((one for one in inner if name_of(one) in names), None)

        self.pid = until(lambda: first("bash"))
        link(self.world, "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        link(self.world, "set", self.name, "master", "br0", "up")
        until(lambda: first("sshd") and self.serves(22))

    def power_off(self):
        """End all that runs on it, at once."""
        os.kill(self.pid, signal.SIGKILL)
        self.pid = None
        self.bury()
        with contextlib.suppress(subprocess.CalledProcessError):  # it is gone already, or goes soon
            link(self.world, "delete", self.name)

    def cut_off(self):
        """Pull the plug of its network."""
        link(self.world, "set", self.name, "down")

    def reconnect(self):
        """Put the plug in again."""
        link(self.world, "set", self.name, "up")

    def begin(self, *command, cwd=HOME, **variables):
        """A command that runs on it, and the file of what it says."""
        environment = [f"{name}={value}" for name, value in (PLAIN | variables).items()]
        return self._begin([*inside(self.pid), "env", "-i", "-C", str(cwd), *environment, *map(str, command)])

    def run(self, *command, within_s=300, **options):
        """What a command says on it; it must succeed."""
        running, said = self.begin(*command, **options)
        code = running.wait(timeout=within_s)
        assert code == 0, f"{' '.join(map(str, command))}: exit code {code} on {self.name}\n{said.read_text()}"
        return said.read_text()

    def path(self, place):
        """A place on its disk, as seen from here."""
        return pathlib.Path(f"/proc/{self.pid}/root") / pathlib.Path(place).relative_to("/")

    def runs(self, words):
        """How many processes on it have words in their command."""
        lines = [read(process / "cmdline") for process in self.path("/proc").glob("[0-9]*")]
        return sum(words in line.replace("\0", " ") for line in lines)

    def serves(self, port):
        """Whether something on it listens on a port."""
        lines = pathlib.Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(f":{port:04X}") for line in lines)

    def bury(self):
        """Wait for the end of all that was begun on it."""
        for process in self._begun:
            process.wait(timeout=30)

    def _begin(self, command):
        """A process, and the file of what it says: not a pipe, which an ssh in the background would keep open."""
        said = self.folder / f"said-{len(list(self.folder.iterdir()))}.txt"
        with open(said, "w") as file:
            options = {"env": PLAIN, "stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            self._begun.append(subprocess.Popen(command, **options))
        return self._begun[-1], said


@contextlib.contextmanager
def machines(folder, *names):
    """Machines with these names; the user of the first may log in to all of them."""
    key = folder / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for name in names:
        home = folder / name / "home"
        shutil.copytree("/etc/skel", home)
        home.chmod(0o700)
        (home / ".coarsefine").symlink_to(sys.prefix)
        (home / ".ssh").mkdir()
        shutil.copy(key.with_suffix(".pub"), home / ".ssh" / "authorized_keys")
        (folder / name / "memory").mkdir()
    shutil.copy(key, folder / names[0] / "home" / ".ssh")
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *APART, "sleep", "infinity"]
    with subprocess.Popen(command, env=PLAIN) as outside:
        (world,) = until(lambda: children(outside.pid))
        made = [Machine(name, f"10.77.0.{number}", world, folder / name) for number, name in enumerate(names, 1)]
        try:
            until(lambda: name_of(world) == "sleep")
            for words in ("add br0 type bridge", "set br0 up"):
                link(world, *words.split())
            for machine in made:
                machine.start()
            yield made
        finally:
            os.kill(world, signal.SIGKILL)
            for machine in made:
                machine.bury()


def inside(pid):
    """The beginning of a command that runs where a process is."""
    return ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--uts", "--ipc"]


def link(pid, *words):
    """`ip link ...` in the network where a process is."""
    command = ["nsenter", "--target", str(pid), "--net", "ip", "link", *words]
    subprocess.run(command, env=PLAIN, check=True, capture_output=True)


def children(pid):
    """The processes that a process started."""
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(pid):
    """The name of a process."""
    return read(pathlib.Path(f"/proc/{pid}/comm")).strip()


def read(path):
    """A file of a process; empty where that is gone."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(holds, within_s=60):
    """What `holds` gives as soon as that is true."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
    return found
