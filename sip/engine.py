"""PJSIP, in a line process's main thread: the only file that imports pjsua2."""

import pjsua2 as pj

VERSION = pj.__name__
