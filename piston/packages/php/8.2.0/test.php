<?php
foreach (['curl', 'dom', 'fileinfo', 'json', 'mbstring', 'openssl', 'pdo_sqlite', 'simplexml', 'sqlite3', 'tokenizer'] as $name) {
    if (!extension_loaded($name)) exit("$name is missing\n");
}
$database = new PDO('sqlite::memory:');
if ($database->query("SELECT 'ja'")->fetchColumn() !== 'ja') exit("wrong\n");
if (mb_strlen('世界') !== 2 || !openssl_random_pseudo_bytes(4)) exit("wrong\n");
echo "OK\n";
