// What most programs that import nothing use of Node. Whatever else they use is an unknown name here, which has them checked
// against Node's own types; so nothing in this file may accept what those would refuse.

interface Console {
    debug(message?: any, ...optionalParams: any[]): void;
    error(message?: any, ...optionalParams: any[]): void;
    info(message?: any, ...optionalParams: any[]): void;
    log(message?: any, ...optionalParams: any[]): void;
    warn(message?: any, ...optionalParams: any[]): void;
}
declare var console: Console;
