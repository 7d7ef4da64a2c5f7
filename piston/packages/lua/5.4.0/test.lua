local json, files, lpeg = require("cjson"), require("lfs"), require("lpeg")
require("re")

assert(json.decode('{"a": [1, 2]}').a[2] == 2)
assert(files.attributes(".").mode == "directory")
assert(lpeg.match(lpeg.P("a") ^ 1, "aab") == 3)
assert(utf8.len("二") == 1)
print("OK")
