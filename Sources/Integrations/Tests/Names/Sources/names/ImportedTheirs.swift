// The same from the other side.

import Prefork
import Subprocess

import struct Subprocess.Signal

func importedTheirs(_: Signal) {}
