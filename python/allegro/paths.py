"""Where things lie on the device. Passed explicitly, so that tests can use a folder of their own."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """`data` is the writable partition that survives restart and update, `run` is gone at power-off."""

    data: Path = Path("/data")
    run: Path = Path("/run/allegro")

    @property
    def settings(self) -> Path:
        """The one settings file (mode 0600: it holds the password of the SFTP server)."""
        return self.data / "settings.json"

    @property
    def state(self) -> Path:
        """What the device itself remembers: database, identity, keys."""
        return self.data / "state"

    @property
    def database(self) -> Path:
        """SQLite database of the jobs and of the upload attempts."""
        return self.state / "allegro.sqlite"

    @property
    def events(self) -> Path:
        """Who came in, and what people and device did."""
        return self.state / "events.json"

    @property
    def past_changes(self) -> Path:
        """The last changes of the settings, with what was in force before (mode 0600, as the settings)."""
        return self.state / "settings-changes.json"

    @property
    def known_disks(self) -> Path:
        """The disks that have a task, or had one."""
        return self.state / "disks.json"

    @property
    def notifications(self) -> Path:
        """SQLite database of what waits to be told to people."""
        return self.state / "notifications.sqlite"

    @property
    def system_id(self) -> Path:
        """The identity of this installation, made at first start."""
        return self.state / "system-id"

    @property
    def kept_time(self) -> Path:
        """The last time known: when this file was last changed."""
        return self.state / "time"

    @property
    def clock_was_behind(self) -> Path:
        """There if the clock started before the last time known, and nobody has set it by hand since."""
        return self.run / "clock-was-behind"

    @property
    def unconfirmed_change(self) -> Path:
        """The network settings to go back to while changed ones are not confirmed; kept if they are kept."""
        return self.state / "unconfirmed-network.json"

    @property
    def set_up(self) -> Path:
        """How far the set-up of a new device is."""
        return self.state / "set-up.json"

    @property
    def wifi_had_own_password(self) -> Path:
        """There if the device's WiFi has had a password of its own; never the password."""
        return self.state / "wifi-own-password"

    @property
    def users(self) -> Path:
        """The users of page and API (owner allegro-web)."""
        return self.web / "users.json"

    @property
    def had_users(self) -> Path:
        """There if the page has had users of its own. Not beside them: who loses one must not lose both."""
        return self.data / "had-users"

    @property
    def temporary_address(self) -> Path:
        """The temporary address of the management port; gone at power-off."""
        return self.run / "temporary-address.json"

    @property
    def localtime(self) -> Path:
        """The time zone: a link to its file, to which /etc/localtime of the image points."""
        return self.run / "localtime"

    @property
    def ssh(self) -> Path:
        """The device's own SSH key pair."""
        return self.state / "ssh"

    @property
    def ring(self) -> Path:
        """The packet ring."""
        return self.data / "ring"

    @property
    def memory_ring(self) -> Path:
        """The packet ring while its disk cannot be used."""
        return self.run / "ring"

    @property
    def firmware(self) -> Path:
        """Firmware files, and what happened to the firmware."""
        return self.data / "firmware"

    @property
    def web(self) -> Path:
        """What the web page keeps: its users and its certificate (owner allegro-web)."""
        return self.data / "web"

    @property
    def storage(self) -> Path:
        """Root of the embedded storage device: finished captures."""
        return self.data / "storage"

    @property
    def upload(self) -> Path:
        """Upload queue: every visible file in it is to be sent."""
        return self.storage / "upload"

    @property
    def sent(self) -> Path:
        """Captures that a server has; kept only if the settings say so."""
        return self.storage / "sent"

    @property
    def disk(self) -> Path:
        """Where the disk that was chosen for captures is mounted."""
        return self.run / "disk"

    @property
    def ring_disk(self) -> Path:
        """Where the disk that was chosen for the packet ring is mounted, for the recorder, too."""
        return self.run / "ring-disk"

    @property
    def disk_health(self) -> Path:
        """What the disks said about their health."""
        return self.run / "disk-health.json"

    @property
    def recorder_config(self) -> Path:
        """What the recorder reads at start and on SIGHUP."""
        return self.run / "recorder.json"

    @property
    def recorder_status(self) -> Path:
        """What the recorder says of itself, four times a second."""
        return self.run / "recorder" / "status.json"

    @property
    def api_socket(self) -> Path:
        """Unix socket of the REST API."""
        return self.run / "api.sock"

    @property
    def page_socket(self) -> Path:
        """Unix socket on which the web page's program answers the device itself."""
        return self.run / "web" / "page.sock"

    @property
    def dissectors(self) -> Path:
        """Unix socket behind which systemd starts a dissector for each connection."""
        return self.run / "packets.sock"

    @property
    def cut_packets(self) -> Path:
        """Parts of the ring for dissectors, each for a moment; in memory."""
        return self.run / "packets"
