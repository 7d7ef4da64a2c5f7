<?php
// What programs require for the AWS SDK; aws.php has already said where that is.
