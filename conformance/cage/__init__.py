"""The cage: a submission's processes, shut away from the suite, the machine and the network.

It is made of Linux's own means: namespaces and mounts by bubblewrap, another user, a filter of
system calls, and limits. The suite stays outside and starts each process of the submission inside.
"""
