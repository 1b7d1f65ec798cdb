"""The command dina in a process that ends when the one that started it does: it watches its standard input for the end."""

import os
import signal
import threading
import time

from dina.cli.app import main

FAREWELL_S = 10.0  # for files under way to be cleaned up


def end_with_starter() -> None:
    """Wait for the end of standard input, then end this process as SIGTERM does, within some seconds at most."""
    while os.read(0, 1024):  # nothing comes before the other end of the pipe is closed, also when its process was killed
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(FAREWELL_S)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=end_with_starter, daemon=True).start()
    main()
