<?php
// Loaded before a program: finds the AWS SDK when a class of it is used, or says plainly that it is not here.
spl_autoload_register(static function (string $class): void {
    if (!preg_match('/^(Aws|GuzzleHttp|JmesPath|Psr)\\\\/', $class)) {
        return;
    }
    $sdk = dirname(__DIR__) . '/aws.phar';
    if (is_file($sdk)) {
        require_once $sdk;
        return;
    }
    if (str_starts_with($class, 'Aws\\')) {
        throw new Error("$class: this PHP runtime has no AWS SDK, because " . trim(strstr(file_get_contents(dirname(__DIR__) . '/SDK_MISSING'), ' ')));
    }
});
